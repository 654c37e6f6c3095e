"""Chooses a few samples of many."""
