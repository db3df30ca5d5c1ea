"""What is done already: stamps that name what they depended on, folders that appear whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNFINISHED = "unfinished"


class Stamp:
    """A small file that says for which inputs a step was finished last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fresh(self, key: str) -> bool:
        """Tell whether the step was finished for these very inputs."""
        return self._text() == key

    def exists(self) -> bool:
        """Tell whether the step was ever begun here."""
        return self._text() is not None

    def unfinished(self) -> bool:
        """Tell whether the step was begun and never finished."""
        return self._text() == _UNFINISHED

    def begin(self) -> None:
        """Note that the step's product can not be trusted from now on."""
        self.finish(_UNFINISHED)

    def finish(self, key: str) -> None:
        """Note that the step's product was made from these inputs."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(key)
        os.replace(partial, self.path)

    def _text(self) -> str | None:
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return None


def key_of(*inputs: object) -> str:
    """Return the hash of whatever a step depends on."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """Lend a folder to fill; it takes its place beside when all went well, else it is gone."""
    partial = folder.with_name(f"{folder.name}.partial")
    _remove(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        _replace(partial, folder)
    finally:
        _remove(partial)


def _replace(partial: Path, folder: Path) -> None:
    old = folder.with_name(f"{folder.name}.old")
    _remove(old)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    _remove(old)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
