"""Runs samples of every method against changed and harmless networks."""
