"""Makes a fingerprint: generate candidates, calibrate them, select a few."""
