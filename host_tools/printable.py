"""Printable: foreign text on its way to a terminal, which obeys some characters; and counts."""


def printable(text: str, keep: str = "") -> str:
    """Return text with what can not be printed written out, as \\x1b; keep: left alone."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else ascii(one)[1:-1] for one in text)


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 board", "2 boards"; many: if it is not one with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
