"""Asking an endpoint whether it still serves the sealed model."""
