"""Ending: tells those who could go on for ever that the server stops.

Owns who wants to know. Server-sent events, WebSockets and direct methods that wait are the ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

FAREWELL = 0.5  # second for clients to hang up: the ports end one after the other, within two


class Ending:
    """The end of one server, which comes once."""

    def __init__(self) -> None:
        self.came = False
        self._wanting: dict[object, Callable[[], object]] = {}

    @contextmanager
    def told(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call back when the end comes within the block, or has come already."""
        key = object()
        self._wanting[key] = callback
        if self.came:
            callback()
        try:
            yield
        finally:
            del self._wanting[key]

    def come(self) -> None:
        """Tell everybody."""
        self.came = True
        for callback in list(self._wanting.values()):
            callback()
