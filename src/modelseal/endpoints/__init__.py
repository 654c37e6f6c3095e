"""Everything that can be asked."""
