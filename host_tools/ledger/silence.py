"""Silence: a server that says nothing is given up, even if its machine still answers.

Owns a connection of psycopg's whose waiting ends: by itself psycopg waits for ever, and what the
kernel can limit (postgresql.py) are cables, as it answers for a server that hangs. Imported only
where psycopg is known to be there.
"""

from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")


class Silent(psycopg.OperationalError):
    """The server said nothing for too long; the connection is closed by now."""


class _Cursor(psycopg.ServerCursor[Any]):
    """A cursor that need not be closed once its connection is: SQLAlchemy does not do it then."""

    def __del__(self, *_: Any) -> None:
        if self.connection.closed:
            self.close()
        super().__del__()


class Impatient(psycopg.Connection[Any]):
    """A connection that is closed when the server says nothing for too long.

    unheard: how many seconds that is; locks: so many more within a transaction, where a lock may
    be waited for. Whatever comes begins the time anew, so a long answer may take as long as it
    takes. What the server was asked to do it may have done all the same.
    """

    unheard = locks = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As psycopg makes it."""
        super().__init__(*args, **kwargs)
        self.server_cursor_factory = _Cursor

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Carry out what a generator of psycopg's does, or raise Silent."""
        return super().wait(self._heard(gen), *args, **kwargs)

    # psycopg comes back each tenth of a second, with nothing if there was nothing
    def _heard(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        heard, limit = monotonic(), self.unheard + (0 if self.autocommit else self.locks)
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = monotonic()
                elif monotonic() - heard > limit:
                    self.pgconn.finish()
                    raise Silent(f"nothing came from it for {limit:g} s")
                wanted = gen.send(ready)
        except StopIteration as ended:
            value: T = ended.value
            return value
