"""Recipes that return a changed copy of a network, for evaluation."""
