"""The methods of others, to compare with."""
