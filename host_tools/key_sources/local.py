"""The group key from this machine's hands: the environment, a file, or a person at a prompt."""

import os
import re
import sys
from getpass import getpass

from host_tools.errors import CommandError
from host_tools.key_sources.secret_file import read_secret
from host_tools.key_sources.shield import take
from host_tools.key_sources.source import HeldKey

VARIABLE = "KEYSTEAD_GROUP_KEY"
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")


def from_environment(name: str) -> HeldKey:
    """Return the key in a variable, which is taken out of the environment; CommandError."""
    if not _NAME.fullmatch(name):
        raise CommandError("a key source env:NAME takes a variable's name, e.g. env:" + VARIABLE)
    text = take(name)
    if text is None:
        raise CommandError(f"the environment has no variable {name}: export the group key in it")
    return HeldKey.from_text(text, f"the group key in {name}")


def from_file(path: str) -> HeldKey:
    """Return the key in a file; CommandError."""
    if not path:
        raise CommandError("a key source file:PATH takes a file's name, e.g. file:group.key")
    return HeldKey.from_text(read_secret(path), f"the group key in {path}")


def from_prompt(_: str = "") -> HeldKey:
    """Ask at the terminal, wherever stdin comes from; CommandError if there is none."""
    otherwise = "there is no terminal to ask for the group key at: name another place for it"
    return HeldKey.from_text(ask("Group key (Base64, not shown): ", otherwise), "the group key")


def usual() -> HeldKey:
    """Return the key of whoever named no source: in $KEYSTEAD_GROUP_KEY, else at a prompt."""
    if VARIABLE in os.environ:
        return from_environment(VARIABLE)
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(f"no group key: set {VARIABLE}, or name its place with --key-source")
    return from_prompt()


def ask(prompt: str, otherwise: str) -> str:
    """Return what a person types, unseen; CommandError, otherwise, if nobody is there to type."""
    if not _terminal():
        raise CommandError(otherwise)
    try:
        return getpass(prompt)
    except EOFError:
        raise CommandError("nothing was typed") from None


# what getpass() looks for; without one it would echo
def _terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()
    return True
