"""Optional packages: imported when they are needed, with one sentence if they are missing."""

from importlib import import_module
from typing import Any

from modelseal.errors import MissingExtraError


def import_extra(module: str, *, purpose: str, extra: str) -> Any:  # noqa: ANN401 (any module)
    """Imports a module of an optional package."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(purpose, extra) from error


def require_torch(purpose: str) -> None:
    """Makes sure that torch is installed."""
    import_extra("torch", purpose=purpose, extra="seal")


def _require_drawing(purpose: str) -> None:
    """Makes sure that figures can be drawn and pages written."""
    for module in ("matplotlib", "jinja2"):
        import_extra(module, purpose=purpose, extra="report")


def onnx_errors() -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises: its errors have nothing in common but their module."""
    try:
        state = vars(import_module("onnxruntime.capi.onnxruntime_pybind11_state"))
    except ImportError:
        state = {}
    kinds = [kind for kind in state.values() if isinstance(kind, type)]
    own = [kind for kind in kinds if issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)
