"""Packages that are needed for some key sources only, imported when one is opened."""

import importlib
from typing import Any

from host_tools.errors import CommandError


def needed(module: str, extra: str) -> Any:
    """Return a module of one of our extras; CommandError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise CommandError(
            f"this key source needs the Python package of {module}, which is not installed: "
            f"run `pip install 'keystead[{extra}]'`"
        ) from None
