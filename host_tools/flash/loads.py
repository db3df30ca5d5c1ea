"""The loads of one batch: put together once for each size of flash that comes to the line."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from host_tools.boards import Board
from host_tools.flash.load import Load
from host_tools.images import contents


@dataclass
class Loads:
    """The loads of one batch; its get() is Order.load.

    image: MicroPython as published; files: of the filesystem, path to content.
    """

    board: Board
    image: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    _made: dict[int, Load] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, flash_size: int) -> Load:
        """Return the load for a flash of so many bytes; CommandError where it does not fit."""
        with self._lock:
            if flash_size not in self._made:
                self._made[flash_size] = self._make(flash_size)
            return self._made[flash_size]

    def _make(self, flash_size: int) -> Load:
        made = contents.put_together(self.board, self.image, flash_size, self.files)
        return Load(made.layout, made.parts, made.files, made.facts)
