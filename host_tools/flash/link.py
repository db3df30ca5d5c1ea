"""The link: a port's worker process as the steps see it, a Port.

Owns the process and the pipe, which is the only way that anything gets to the worker: nothing of
a board is in an argument or a file. Doesn't own what the worker does (worker.py).
"""

import contextlib
import io
import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from typing import Any, Self

from host_tools.flash.chip import Chip, Traffic
from host_tools.flash.failure import FlashFailure
from host_tools.flash.process import run
from host_tools.images.parts import Part

_SPAWN = multiprocessing.get_context("spawn")
_PARSING = 30.0  # seconds; a filesystem takes far less than one
_ANSWERED = {"Chip": Chip, "FlashFailure": FlashFailure, "Traffic": Traffic}
_PATIENCE = 2.0  # seconds for a worker to end by itself


class Answer(pickle.Unpickler):
    """What a worker says, and no other object: it parses foreign bytes, they may take it over."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that an answer may be of; pickle.UnpicklingError."""
        if name not in _ANSWERED or module != _ANSWERED[name].__module__:
            raise pickle.UnpicklingError("a worker's answer is of no known kind")
        return _ANSWERED[name]


class Link:
    """A port and its process. A context manager; progress(fraction 0 to 1) is called meanwhile."""

    def __init__(self, url: str, progress: Callable[[float], None]) -> None:
        self.traffic = Traffic()
        self._progress = progress
        self._ended = False
        self._pipe, far = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=run, args=(far, url), daemon=True)
        self._process.start()
        far.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Return the worker's process id."""
        assert self._process.pid is not None
        return self._process.pid

    def close(self) -> None:
        """Let the worker end and the port be free; more than once does no harm."""
        self._pipe.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def end(self) -> None:
        """End the worker at once, from another thread: what is under way fails as interrupted."""
        self._ended = True
        self._process.kill()

    # ---- roles.Port

    def connect(self, baud: int) -> Chip:
        """See roles.Port."""
        chip = self._call("connect", baud)
        assert isinstance(chip, Chip)
        return chip

    def read(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """See roles.Port."""
        return list(self._call("read", places))

    def files(self, image: bytes, seconds: float = _PARSING) -> dict[str, bytes]:
        """See roles.Port; a worker that takes longer is ended."""
        return dict(self._call("files", image, seconds=seconds))

    def blank(self, offset: int, size: int) -> bool:
        """See roles.Port."""
        return bool(self._call("blank", offset, size))

    def write(self, pieces: Sequence[Part]) -> int:
        """See roles.Port."""
        return int(self._call("write", [(piece.offset, piece.data) for piece in pieces]))

    def restart(self) -> None:
        """See roles.Port."""
        self._call("restart")

    def line(self, seconds: float) -> str | None:
        """See roles.Port."""
        line = self._call("line", seconds)
        return None if line is None else str(line)

    def prove(self, nonce: str) -> str:
        """See roles.Port."""
        return str(self._call("prove", nonce))

    def newcomer(self, seconds: float) -> bool:
        """Wait so long for a board to be put on the port; tell whether one was."""
        return bool(self._call("newcomer", seconds))

    def _call(self, name: str, *words: Any, seconds: float | None = None) -> Any:
        try:
            self._pipe.send((name, words))
            while True:
                if not self._pipe.poll(seconds):
                    self._process.kill()
                    raise FlashFailure("worker-died", f"the port's process hung ({name})")
                kind, value = Answer(io.BytesIO(self._pipe.recv_bytes())).load()
                if kind == "progress":
                    self._progress(value)
                elif kind == "traffic":
                    self.traffic = value
                elif kind == "failure":
                    raise value
                else:
                    return value
        except (EOFError, OSError):
            raise self._gone() from None

    def _gone(self) -> FlashFailure:
        if self._ended:
            return FlashFailure("interrupted", "it was interrupted")
        with contextlib.suppress(OSError):
            self._process.join(_PATIENCE)
        return FlashFailure("worker-died", f"the port's process ended ({self._process.exitcode})")
