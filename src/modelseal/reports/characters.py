"""Characters of foreign text that a document cannot hold."""


def valid(text: str) -> str:
    r"""Text with an escape for every character that XML 1.0 cannot hold.

    Examples:
        >>> valid("cat\x1b[2J")
        'cat\\x1b[2J'
    """
    return "".join(
        letter if is_valid(ord(letter)) else letter.encode("unicode_escape").decode()
        for letter in text
    )


def is_valid(point: int) -> bool:
    """Whether a code point is a `Char` of XML 1.0, section 2.2."""
    return (
        point in {0x9, 0xA, 0xD}
        or 0x20 <= point <= 0xD7FF
        or 0xE000 <= point <= 0xFFFD
        or 0x10000 <= point <= 0x10FFFF
    )
