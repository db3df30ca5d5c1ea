"""A process that is to hold a secret: no core dumps of it, nothing of it in its children.

What it can not do: stop root, or keep memory out of swap. See docs/keys.md.
"""

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_OURS = "KEYSTEAD_"
# of the libraries behind the ledger and the key sources
_THEIRS = ("PGPASSWORD", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD")


def forbid_core_dumps() -> None:
    """Let no crash of this process, nor of its children, write memory to disk.

    On Linux its memory and its environment can then be read by root alone, through /proc or a
    debugger (prctl(2), PR_SET_DUMPABLE).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def take(variable: str) -> str | None:
    """Return a secret from the environment, and take it out, so that no child inherits it."""
    return os.environ.pop(variable, None)


def for_others(**more: str) -> dict[str, str]:
    """Return the environment, and more, for a program that is not ours: without our variables.

    One that a key source env:NAME names is still in it, until it was taken.
    """
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(_OURS) and name not in _THEIRS
    }
    return kept | more
