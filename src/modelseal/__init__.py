"""Tells whether the model behind an API is still exactly the model that was deployed.

The public interface. Its names stand in the stub beside this file, and each is imported when it
is first used, so that `import modelseal` is quick and verifying needs no torch.
"""

import lazy_loader

from modelseal.errors import MissingExtraError

_EXTRAS = {"torch": "seal", "matplotlib": "report", "jinja2": "report", "cryptography": "crypto"}

_import_name, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    try:
        return _import_name(name)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise MissingExtraError(f"modelseal.{name}", _EXTRAS[error.name]) from error
