"""What endpoints show, and when two answers are the same."""
