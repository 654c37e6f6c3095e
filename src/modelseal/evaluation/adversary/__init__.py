"""Whether a provider can spot samples, and what it gains."""
