"""Ports of 127.0.0.1 that are one test's own, as those of bench.ports: at which nobody is heard,
and many in a row.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.ports import held

_ROWS = range(20_000, 30_000)  # where the system does not take ports from by itself


@contextmanager
def unheard() -> Iterator[int]:
    """Lend a port at which nobody listens, and nobody can."""
    with ExitStack() as stack:
        yield held(stack, 0, alone=True)


@contextmanager
def kept_row(count: int) -> Iterator[int]:
    """Lend so many ports in a row, of which this is the first."""
    for gate in _ROWS[:: count + 1]:
        with ExitStack() as stack:
            try:
                held(stack, gate, alone=True)  # a second row is not held at the same place
                for port in range(gate + 1, gate + 1 + count):
                    held(stack, port)
            except OSError:
                continue
            yield gate + 1
            return
    raise AssertionError("no free ports")
