"""Open sets of things by name: what users extend with a `register_…` decorator."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from modelseal.errors import InvalidArgumentError

T = TypeVar("T")
GROUP = "modelseal"
"""The entry-point group whose modules are imported when a name is not known yet."""


class Registry(Generic[T]):
    """Things of one kind by name.

    A name that is not known yet makes the registry import every module of the entry-point group
    `modelseal` once, so that an installed package can add to it.

    Args:
        kind: What it holds, as it stands in a sentence, such as `a method`.

    Examples:
        >>> shapes: Registry[str] = Registry("a shape")
        >>> shapes.register("round")("circle")
        'circle'
        >>> shapes.get("round"), shapes.names()
        ('circle', ('round',))
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._held: dict[str, T] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that adds what it decorates, and gives it back."""
        if not name or name in self._held:
            problem = "an empty one" if not name else f"{name!r}, which is taken"
            raise InvalidArgumentError(f"expected a new name for {self._kind}, got {problem}")

        def add(thing: T) -> T:
            self._held[name] = thing
            return thing

        return add

    def get(self, name: str) -> T:
        """What has this name."""
        if name not in self._held:
            self._load_plugins()
        if name not in self._held:
            raise InvalidArgumentError(
                f"expected {self._kind} named {' or '.join(self._held)}, got {name!r}"
            )
        return self._held[name]

    def names(self) -> tuple[str, ...]:
        """All names, in the order of registration; those of installed packages last."""
        self._load_plugins()
        return tuple(self._held)

    def __contains__(self, name: object) -> bool:
        if name not in self._held:
            self._load_plugins()
        return name in self._held

    def _load_plugins(self) -> None:
        if not self._complete:
            self._complete = True
            for plugin in entry_points(group=GROUP):
                plugin.load()
