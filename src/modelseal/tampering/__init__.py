"""Recipes that return a changed copy of a network, for evaluation; loaded when they are used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
