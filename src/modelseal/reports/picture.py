"""A figure as it was drawn, and what is said of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One drawn figure.

    Args:
        name: Of its files, without a suffix.
        title: The heading above it.
        note: How to read it, in a sentence or two.
        png: As dots, on white.
        light: As SVG, on white.
        dark: As SVG, on a dark page.
    """

    name: str
    title: str
    note: str
    png: bytes = field(repr=False)
    light: bytes = field(repr=False)
    dark: bytes = field(repr=False)
