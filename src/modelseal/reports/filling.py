"""Fills the templates of pages, which share one style."""

from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from modelseal.reports.characters import valid


def render(template: str, **values: object) -> str:
    """A page that needs nothing beside it; all text in it stays text.

    Args:
        template: The template's name in this package.
        values: What it is filled with.
    """
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(read_template),
        undefined=StrictUndefined,
        finalize=finish,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def read_template(name: str) -> str:
    """The text of a template or of the style."""
    return files("modelseal.reports").joinpath(name).read_text(encoding="utf-8")


def finish(value: object) -> object:
    """What stands for a value: plain text loses what no page can hold, markup stays as it is."""
    return valid(value) if type(value) is str else value
