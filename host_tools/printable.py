"""Printable: foreign text on its way to a terminal, which obeys some characters."""


def printable(text: str, keep: str = "") -> str:
    """Return text with what can not be printed written out, as \\x1b; keep: left alone."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else ascii(one)[1:-1] for one in text)
