"""The set-up: what is missing is made, one step after the other, and then never again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TextIO

from host_tools.toolchain import host, places
from host_tools.toolchain.environment import Environment
from host_tools.toolchain.lock import locked
from host_tools.toolchain.log import Log
from host_tools.toolchain.postgresql import PostgresqlServer
from host_tools.toolchain.progress import Progress
from host_tools.toolchain.softhsm import SoftHsm
from host_tools.toolchain.stubs import Stubs
from host_tools.toolchain.umqtt_simple import UmqttSimple
from host_tools.toolchain.unix_port import UnixPort


class Step(Protocol):
    """One thing the project needs from outside."""

    @property
    def label(self) -> str:
        """Return what the step is called on the screen."""

    def missing(self) -> bool:
        """Tell whether there is anything to do; cheap, and no network."""

    def make(self, log: Log) -> str | None:
        """Do it; return a line worth showing, if there is one."""


def steps(with_stubs: bool) -> list[Step]:
    """Return this machine's steps in their order."""
    machine, home, checkout = host.this(), places.home(), places.checkout()
    found: list[Step] = [Environment(checkout, home, machine)] if checkout else []
    found += [UnixPort(home, machine), UmqttSimple(home, places.python())]
    found += [SoftHsm(home, machine), PostgresqlServer(home, machine)] if checkout else []
    return found + ([Stubs(home, places.python())] if with_stubs else [])


def set_up(wanted: Sequence[Step], home: Path, stream: TextIO) -> None:
    """Make what is missing; say nothing when nothing is."""
    if not any(step.missing() for step in wanted):
        return

    def waiting() -> None:
        stream.write("another set-up is at work in this checkout; waiting for it to end\n")
        stream.flush()

    with locked(home / "lock", waiting):
        missing = [step for step in wanted if step.missing()]
        if missing:
            _make(missing, home, stream)


def _make(missing: Sequence[Step], home: Path, stream: TextIO) -> None:
    progress = Progress(stream, len(missing))
    log = Log(home / "setup.log")
    for step in missing:
        with progress.step(step.label):
            note = step.make(log)
        if note:
            progress.say(note)
