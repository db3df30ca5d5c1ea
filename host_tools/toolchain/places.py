"""Where the toolchain lives: the checkout, its ignored folder, its virtual environment."""

import os
import sys
from pathlib import Path


def checkout() -> Path | None:
    """Return the checkout this package runs from, or None when it was installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def home() -> Path:
    """Return the folder of everything fetched: $KEYSTEAD_TOOLCHAIN, or the checkout's."""
    named = os.environ.get("KEYSTEAD_TOOLCHAIN")
    if named:
        return Path(named).expanduser().absolute()
    root = checkout()
    return root / ".toolchain" if root else _cache()


def python() -> Path:
    """Return the Python the project is (to be) installed in."""
    root = checkout()
    return root / ".venv" / "bin" / "python" if root else Path(sys.executable)


def _cache() -> Path:
    import platformdirs  # a dependency of the project; the set-up runs before it is there

    return platformdirs.user_cache_path("keystead")
