"""Where independent tasks are performed: in this process, in several, or on many machines."""
