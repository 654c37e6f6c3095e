"""Watching networks run: inference, exact float32, devices and cost."""
