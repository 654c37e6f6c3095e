"""What can go wrong, as one small tree.

```
ModelsealError
├── InvalidArgumentError    the caller's mistake; also a ValueError
├── BadFileError            a file is not what it should be; carries the file and the field
├── MissingExtraError       a part that was not installed is needed; also an ImportError
├── SealingError            no fingerprint could be made that would keep its promise
├── NotAppliedError         a tampering recipe did not reach its own goal on a network
├── EvaluationError         a task could not be done by its workers; the text names the task
└── EndpointError           an endpoint gave no usable answer: a verdict of undecided
    └── PassingError        a fault that may pass: the same question may be asked again
```

A tampered model is an answer, not an exception: it never appears here.
"""

from importlib import import_module
from typing import Any


class ModelsealError(Exception):
    """Anything that modelseal itself raises; its text is one sentence for the user."""

    def __reduce__(self) -> tuple[object, ...]:
        """Lets an error come back from another process, whatever its class is made from."""
        return _restore, (type(self), self.args, vars(self))


class InvalidArgumentError(ModelsealError, ValueError):
    """The caller's mistake; the text says what was expected and what came.

    Args:
        problem: What was expected and what came.
        field: The path to the wrong field of a value of many fields, such as `margins[3]`.
    """

    def __init__(self, problem: str, *, field: str = "") -> None:
        self.problem = problem
        self.field = field
        super().__init__(f"{field}: {problem}" if field else problem)


def unexpected(wanted: str, came: object, *, field: str) -> InvalidArgumentError:
    """The error for a field that is not what was expected."""
    return InvalidArgumentError(f"expected {wanted}, got {came}", field=field)


class BadFileError(ModelsealError):
    """A file that cannot be used.

    Args:
        file: The file's path or name, as the user gave it.
        problem: What was expected and what came.
        field: The path to the wrong field inside the file, such as `samples[3].label`.
    """

    def __init__(self, file: object, problem: str, *, field: str = "") -> None:
        self.file = str(file)
        self.problem = problem
        self.field = field
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")


class MissingExtraError(ModelsealError, ImportError):
    """An optional part is needed that is not installed.

    Args:
        purpose: What it is needed for, as the subject of a sentence.
        extra: The name of the extra in `pip install modelseal[extra]`.
    """

    def __init__(self, purpose: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f'{purpose} needs an extra: pip install "modelseal[{extra}]"')


def import_extra(module: str, *, purpose: str, extra: str) -> Any:  # noqa: ANN401 (any module)
    """Imports a module of an optional package."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(purpose, extra) from error


class SealingError(ModelsealError):
    """No fingerprint could be made that would keep its promise."""


class NotAppliedError(ModelsealError):
    """A tampering recipe did not reach its own goal: a backdoor that did not take."""


class EvaluationError(ModelsealError):
    """A task, as of an evaluation, could not be done: its code raised, or all its workers died."""


class EndpointError(ModelsealError):
    """An endpoint gave no usable answer: unreachable, malformed, of another shape, not finite."""

    def at(self, place: str) -> "EndpointError":
        """The same fault, with where it was met in front of its text.

        Examples:
            >>> EndpointError("no answer came").at("http://host")
            EndpointError('http://host: no answer came')
        """
        return self.retold(f"{place}: {self}")

    def retold(self, text: str) -> "EndpointError":
        """The same fault in other words: one that may pass stays so."""
        return EndpointError(text)


class PassingError(EndpointError):
    """A fault that may pass, such as a busy server: the same question may be asked again.

    It never stands for an answer, however malformed: asking again until an answer suits would
    let a tampered model pass.

    Args:
        reason: What was expected and what came.
        wait: How many seconds the endpoint asks to wait before the next question, if it says so.
    """

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(reason)

    def retold(self, text: str) -> "PassingError":
        """The same fault in other words."""
        return PassingError(text, wait=self.wait)


def _restore(
    kind: type[ModelsealError], args: tuple[object, ...], fields: dict[str, object]
) -> ModelsealError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(fields)
    return error


FOREIGN_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What the owner's code, which we do not know, usually raises."""


def onnx_errors() -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises: its errors have nothing in common but their module."""
    try:
        state = vars(import_module("onnxruntime.capi.onnxruntime_pybind11_state"))
    except ImportError:
        state = {}
    kinds = [kind for kind in state.values() if isinstance(kind, type)]
    own = [kind for kind in kinds if issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)
