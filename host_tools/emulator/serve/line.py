"""Line: what a handler may know of the connection below a request.

Owns how it gets there: a server puts one into the state of each connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection

from host_tools.emulator.serve.ending import Ending

_KEY = "line"


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Line:
    """One connection to a server."""

    ending: Ending = field(default_factory=Ending)  # of the server
    abort: Callable[[], object] = _nothing  # ends the connection without a word

    def state(self) -> dict[str, Any]:
        """Return what a server puts into the state of the connection."""
        return {_KEY: self}


def of(connection: HTTPConnection) -> Line:
    """Return the line of a request; one of its own for a request that came by none, in a test."""
    line = connection.scope.get("state", {}).get(_KEY)
    return line if isinstance(line, Line) else Line()
