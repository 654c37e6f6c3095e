"""Makes sensitive samples: pure functions of networks and inputs."""
