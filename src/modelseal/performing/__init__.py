"""Where tasks are performed, in this process or on many machines, and how exactly."""
