"""Tells whether the model behind an API is still exactly the model that was deployed."""
