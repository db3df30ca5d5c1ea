"""The station: many ports at once, one ledger, one key source.

Owns the threads (one a port, each with its worker process) and how they end. What happens on a
port is steps.py's, what is shown rows.py's. The group key is in the source, and nowhere else.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from host_tools.device_keys import DeviceKeys
from host_tools.errors import CommandError
from host_tools.flash.chip import Chip, Traffic
from host_tools.flash.course import RELEASE, StillThere
from host_tools.flash.failure import FlashFailure
from host_tools.flash.link import Link
from host_tools.flash.notes import reason_of
from host_tools.flash.roles import Book
from host_tools.flash.steps import Line, Order
from host_tools.ledger import Identity

_LOOK = 1.0  # seconds between two looks whether a board was put on a port
# of a port that is to be used again and again: there is no board on it yet, there never will be
_EMPTY = ("no-answer", "port-absent", "port-lost")
_FINAL = ("worker-died", "interrupted", "port-busy", "batch-used-up")


@dataclass(frozen=True)
class Outcome:
    """How it went on a port: a good board, or why not; dry: what would be done."""

    port: str
    result: str  # "good", "failed", "would"
    mac: bytes | None = None
    registration_id: str = ""
    step: str = ""
    reason: str = ""
    message: str = ""
    seconds: float = 0
    steps: dict[str, float] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    chip: Chip | None = None
    serial: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        told = {
            "port": self.port,
            "result": self.result,
            "mac": self.mac.hex(":") if self.mac else None,
            "registrationId": self.registration_id or None,
            "seconds": round(self.seconds, 3),
            "steps": {name: round(seconds, 3) for name, seconds in self.steps.items()},
            "line": self.traffic.facts(),
        }
        if self.result == "failed":
            told |= {"step": self.step, "reason": self.reason, "message": self.message}
        return told


class _Underway:
    """The boards that are being made, by MAC, and the one port that each is on.

    Of this process only: of another one's attempt nobody knows whether it is still alive.
    """

    def __init__(self) -> None:
        self._ports: dict[bytes, str] = {}
        self._lock = threading.Lock()

    def claim(self, mac: bytes, port: str) -> None:
        """Take a board for a port; FlashFailure twin-mac if it is another's at this time."""
        with self._lock:
            other = self._ports.setdefault(mac, port) if mac else port
        if other != port:
            what = f"the board on {other}, which is being made, says the same MAC {mac.hex(':')}"
            raise FlashFailure("twin-mac", what)

    def release(self, port: str) -> None:
        """Let go of a port's board."""
        with self._lock:
            self._ports = {mac: one for mac, one in self._ports.items() if one != port}


@dataclass(frozen=True)
class News:
    """Something changed on a port: the step, how far it is (0 to 1), who the board is."""

    port: str
    step: str = ""
    fraction: float | None = None
    mac: bytes | None = None
    registration_id: str = ""
    serial: str = ""
    outcome: Outcome | None = None
    remark: str = ""  # of a port that is waited for: why there is none
    over: bool = False  # nothing more comes from this port


class Station:
    """Flashes the boards on some ports; iterate over run()."""

    def __init__(
        self,
        order: Order,
        book: Book,
        keys: DeviceKeys | None,
        dry: bool = False,
        stay: bool = False,
    ) -> None:
        """Whose ledger and keys.

        dry: only say what would be done, which takes no keys; stay: go on with the next board put
        on the same port.
        """
        self.interrupted = False  # by Ctrl-C
        self._order, self._book, self._keys = order, book, keys
        self._dry, self._stay = dry, stay
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._links: list[Link] = []
        self._underway = _Underway()
        self._stopped = threading.Event()

    def run(self, ports: Sequence[str]) -> Iterator[News]:
        """Give the news of all ports until all are over; whoever leaves early ends them all."""
        threads = [threading.Thread(target=self._port, args=(port,)) for port in ports]
        for thread in threads:
            thread.start()
        try:
            yield from self._until_over(len(threads))
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _until_over(self, left: int) -> Iterator[News]:
        while left:
            try:
                news = self._news.get()
            except KeyboardInterrupt:  # the boards under way are told to the ledger first
                if self.interrupted:
                    raise
                self.interrupted = True
                self._stop()
                continue
            left -= news.over
            yield news

    def _stop(self) -> None:
        self._stopped.set()
        for link in self._links:
            link.end()

    def _port(self, port: str) -> None:
        try:
            with Link(port, lambda part: self._news.put(News(port, fraction=part))) as link:
                self._links.append(link)
                self._boards(port, link)
        except Exception as error:  # a port that ends says why, whatever it is
            failure = FlashFailure.unforeseen(error)
            self._news.put(News(port, outcome=_failed(port, failure)))
        finally:
            self._news.put(News(port, over=True))

    def _boards(self, port: str, link: Link) -> None:
        last: bytes | None = None
        waiting, first = False, True  # once it was told that a board is waited for, no more
        while not self._stopped.is_set():
            outcome = self._board(port, link, last, quiet=waiting)
            nobody = self._stay and (outcome is None or outcome.reason in _EMPTY)
            if outcome is not None and not nobody:
                last = outcome.mac if outcome.result == "good" else None
                self._news.put(News(port, outcome=outcome))
            if not self._stay or (outcome is not None and outcome.reason in _FINAL):
                return
            if outcome is not None and outcome.reason == "port-absent" and first:
                self._news.put(News(port, remark=outcome.message))
            if not (nobody and waiting):
                self._news.put(News(port, step="again" if outcome is None else "wait"))
            waiting, first = nobody, False
            self._await(link)

    def _await(self, link: Link) -> None:
        with contextlib.suppress(FlashFailure):  # a dead worker says so to the next call as well
            while not self._stopped.is_set() and not link.newcomer(_LOOK):
                pass

    def _board(self, port: str, link: Link, last: bytes | None, quiet: bool) -> Outcome | None:
        teller = _Teller(port, self._news.put, self._underway, quiet)
        line = Line(link, self._book, self._keys, self._order, teller, but_not=last, place=port)
        result = "would" if self._dry else "good"
        try:
            (line.preview if self._dry else line.flash)()
        except StillThere:
            return None
        except CommandError as error:
            return teller.outcome(line, "failed", error)
        except Exception as error:  # the other ports go on
            return teller.outcome(line, "failed", FlashFailure.unforeseen(error))
        finally:
            self._underway.release(port)
        return teller.outcome(line, result)


def _failed(port: str, failure: FlashFailure) -> Outcome:
    return Outcome(port, "failed", step="connect", reason=failure.reason, message=str(failure))


class _Teller:
    """What the steps tell of one board, passed on as news and kept for its outcome."""

    def __init__(
        self, port: str, put: Callable[[News], None], underway: _Underway, quiet: bool
    ) -> None:
        """quiet: tell no step before there is a chip."""
        self._port, self._put, self._quiet = port, put, quiet
        self._underway = underway
        self._chip: Chip | None = None
        self._name = self._serial = ""
        self._step = ""

    def step(self, name: str) -> None:
        self._step = self._step if name == RELEASE else name
        if not self._quiet:
            self._put(News(self._port, step=name))

    def chip(self, chip: Chip) -> None:
        """See roles.Told; FlashFailure twin-mac before anything is written."""
        self._chip = chip
        if self._quiet:
            self._quiet = False
            self.step(self._step)
        self._put(News(self._port, mac=chip.mac))
        self._underway.claim(chip.mac, self._port)

    def identity(self, identity: Identity) -> None:
        self._name = identity.registration_id
        self._serial = identity.serial
        self._put(News(self._port, registration_id=self._name, serial=self._serial))

    def outcome(self, line: Line, result: str, error: CommandError | None = None) -> Outcome:
        reason = reason_of(error) if error else ""
        return Outcome(
            self._port, result, self._chip.mac if self._chip else None, self._name,
            self._step, reason, str(error or ""), sum(line.seconds.values()), line.seconds,
            line.used(), self._chip, self._serial,
        )  # fmt: skip
