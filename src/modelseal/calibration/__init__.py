"""Measures how far harmless re-hostings move a decision."""
