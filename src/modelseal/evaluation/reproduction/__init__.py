"""Runs the published experiment on VGG-Face from its own files, with our samples beside it."""
