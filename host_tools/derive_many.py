"""Many device keys: blocks of registration IDs in, blocks of text out, in their order.

Owns spreading the work over this machine's cores. Memory stays the same however long the list is:
one block is with each process at a time. A key source that is a token, not a key, is asked for
each ID.
"""

import functools
import multiprocessing
import os
import signal
import sys
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection

from host_tools.errors import CommandError
from host_tools.key_sources import HeldKey, KeySource

WORTHWHILE = 100_000  # IDs; for fewer, one process is done before another has started


@dataclass(frozen=True)
class Form:
    """A line of output: what stands around an ID and its key. No ID has anything to escape."""

    before: bytes
    between: bytes
    after: bytes = b"\n"

    def text(self, names: list[bytes], keys: list[bytes]) -> bytes:
        """Return the lines of some IDs and their keys."""
        parts = [self.before, b"", self.between, b"", self.after] * len(names)
        parts[1::5] = names
        parts[3::5] = map(_encode, keys)
        return b"".join(parts)


FORMS = {
    "tsv": Form(b"", b"\t"),
    "csv": Form(b"", b","),
    "json": Form(b'{"registrationId": "', b'", "deviceKey": "', b'"}\n'),
}
_encode = functools.partial(b2a_base64, newline=False)


def cores() -> int:
    """Return how many processes are worth while on this machine."""
    if sys.platform != "linux":  # elsewhere a fork is not safe once system libraries were used
        return 1
    return len(os.sched_getaffinity(0))


def texts(
    source: KeySource, blocks: Iterable[bytes], form: Form, processes: int = 1
) -> Iterator[bytes]:
    """Give the text of all IDs' lines, in order, block by block; CommandError.

    blocks: IDs apart by newlines, as of id_list.blocks(), all checked already.
    """

    def work(block: bytes) -> bytes:
        names = block.split(b"\n")
        return form.text(names, _keys(source, names))

    if processes > 1 and isinstance(source, HeldKey):  # a token's session is one process's own
        yield from _spread(work, iter(blocks), processes)
    else:
        yield from map(work, blocks)


def _keys(source: KeySource, names: list[bytes]) -> list[bytes]:
    if isinstance(source, HeldKey):
        return source.many(names)
    return [source.derive(name.decode()) for name in names]


def _spread(
    work: Callable[[bytes], bytes], blocks: Iterator[bytes], count: int
) -> Iterator[bytes]:
    fork = multiprocessing.get_context("fork")  # the key's state goes along, through no pipe
    lines: list[Connection] = []
    processes = []
    try:
        with _ctrl_c_later():  # it would find a process that does not ignore it yet, and loudly
            for _ in range(count):
                ours, theirs = fork.Pipe()
                process = fork.Process(target=_serve, args=(work, theirs, ours), daemon=True)
                process.start()
                theirs.close()
                lines.append(ours)
                processes.append(process)
        yield from _turns(lines, blocks)
    finally:
        for process in processes:
            process.terminate()
        for line in lines:
            line.close()
        for process in processes:
            process.join()


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Hold Ctrl-C back from this process, and for good from those that are forked meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# each has one block: whoever is asked for a result takes the next, so nobody waits for two
def _turns(lines: list[Connection], blocks: Iterator[bytes]) -> Iterator[bytes]:
    busy: deque[Connection] = deque()
    for line, block in zip(lines, blocks, strict=False):
        with _alive():
            line.send_bytes(block)
        busy.append(line)
    while busy:
        line = busy.popleft()
        with _alive():
            result = line.recv_bytes()
        for block in islice(blocks, 1):
            with _alive():
                line.send_bytes(block)
            busy.append(line)
        yield result


@contextmanager
def _alive() -> Iterator[None]:
    """Raise CommandError if the process at the other end of a line is gone."""
    try:
        yield
    except (EOFError, OSError):  # OSError in the middle of a message, and nothing else can fail
        raise CommandError("a process that derives keys was ended: is memory short?") from None


def _serve(work: Callable[[bytes], bytes], line: Connection, other_end: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    other_end.close()
    try:
        while True:
            line.send_bytes(work(line.recv_bytes()))
    except (EOFError, OSError):  # whoever asked is gone, or has enough
        return
