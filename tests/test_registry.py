"""Registries: open sets of things by name."""

from importlib.metadata import EntryPoint

import pytest

from modelseal import registry
from modelseal.errors import InvalidArgumentError
from modelseal.registry import Registry


def test_what_is_registered_is_found_by_its_name():
    shapes = Registry("a shape")
    assert shapes.register("round")("circle") == "circle"
    assert shapes.get("round") == "circle"
    assert "round" in shapes
    assert "square" not in shapes


@pytest.mark.parametrize("name", ["", "round"])
def test_a_name_is_not_empty_and_not_taken_twice(name):
    shapes = Registry("a shape")
    shapes.register("round")("circle")
    with pytest.raises(InvalidArgumentError):
        shapes.register(name)("other")


def test_an_unknown_name_is_refused_with_those_that_are_known():
    shapes = Registry("a shape")
    shapes.register("round")("circle")
    with pytest.raises(InvalidArgumentError, match="round"):
        shapes.get("square")


def test_installed_packages_add_to_a_registry_when_a_name_is_unknown(monkeypatch):
    shapes = Registry("a shape")

    class Plugin(EntryPoint):
        def load(self):
            shapes.register("square")("box")

    found = [Plugin("mine", "mine", "modelseal")]
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group else [])
    assert shapes.get("square") == "box"
    assert shapes.names() == ("square",)
