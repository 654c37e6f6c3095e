"""Builds the owner's network and reads natural inputs."""
