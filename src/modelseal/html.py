"""Fills the templates of pages, which share one style."""

from importlib.resources import files


def render(template: str, **values: object) -> str:
    """A page that needs nothing beside it; all text in it stays text."""
    # What needs `valid` alone shall not need Jinja.
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_read_template),
        undefined=StrictUndefined,
        finalize=_finish,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def _read_template(name: str) -> str:
    return files("modelseal").joinpath("templates").joinpath(name).read_text(encoding="utf-8")


def _finish(value: object) -> object:
    """What stands for a value: plain text loses what no page can hold, markup stays as it is."""
    return valid(value) if type(value) is str else value


def valid(text: str) -> str:
    r"""Text with an escape for every character that XML 1.0 cannot hold.

    Examples:
        >>> valid("cat\x1b[2J")
        'cat\\x1b[2J'
    """
    return "".join(
        letter if _is_valid(ord(letter)) else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _is_valid(point: int) -> bool:
    """Whether a code point is a `Char` of XML 1.0, section 2.2."""
    return (
        point in {0x9, 0xA, 0xD}
        or 0x20 <= point <= 0xD7FF
        or 0xE000 <= point <= 0xFFFD
        or 0x10000 <= point <= 0x10FFFF
    )
