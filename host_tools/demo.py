"""The whole story on this machine, without a board and without an Azure account.

Starts a DPS and an IoT Hub on loopback, derives one board's device key as a factory would, boots
the real firmware under MicroPython with that key and an ESP32's heap, and shows both ends: what
the board says and what the cloud sees, up to telemetry at the hub. Names and keys are those of
Microsoft's article "How to provision legacy devices using symmetric keys".
"""

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from host_tools import keys, signals
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, KeyPair
from host_tools.emulator.events import Event, Telemetry
from host_tools.emulator.serve.listener import serve
from host_tools.errors import CommandError
from host_tools.virtual_board.unix_board import UnixBoard, chip_folder
from keystead.record import FactoryRecord
from keystead.registration_id import render

ID_SCOPE = "0ne00002193"
GROUP = "mylegacydevices"
GROUP_KEY = (
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
)
HUB = "test-docs-hub.azure-devices.net"
SERIAL = "007-888-abc"
MAC = bytes.fromhex("a1b2c3d4e5f6")
DEVICE_KEY = "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="  # as the article prints it

# what the two ends say: the board its lines, None when it is off; the cloud its events
Heard = asyncio.Queue[Event | str | None]

_NAME = render("sn-{serial}-mac-{mac}", SERIAL, MAC)
_MESSAGES = 2  # the demo is over when the hub has so many
_LIMIT = 25  # seconds

_NEXT = (
    ("{keystead} cloud", "a cloud that stays, for boards and SDKs"),
    ("{keystead} derive-key --help", "device keys for your own group"),
    ("{keystead} boot --help", "this firmware at your own DPS"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the one thing that may vary."""
    parser.add_argument(
        "--heap", default="", help="the board's heap, e.g. 40k; default: an ESP32's, 64k"
    )


def run(args: argparse.Namespace) -> None:
    """Tell the story. CommandError carries the board's numbered reason if it fails."""
    begun = time.monotonic()
    story = Story(Console(highlight=False, soft_wrap=not sys.stdout.isatty()))
    with chip_folder() as folder:
        signals.run(_act(story, folder, args.heap))
    story.end(time.monotonic() - begun)


class Story:
    """What the reader sees; colours on a terminal only."""

    def __init__(self, console: Console) -> None:
        """console: where it is told."""
        self._console = console

    def chapter(self, number: int, title: str) -> None:
        """Begin a chapter."""
        self._console.print(Text(f"\n{number}  {title}", style="bold"))

    def fact(self, name: str, value: str) -> None:
        """Tell one fact."""
        self._row(Text(f"   {name:<17}", style="dim"), value)

    def heard(self, who: str, line: str, style: str) -> None:
        """Tell what one end said."""
        self._row(Text(f"   {who:<6}| ", style=style), line)

    def _row(self, label: Text, text: str) -> None:
        if not self._console.is_terminal:  # a pipe has no width to fold at
            self._console.print(label + Text(text))
            return
        row = Table.grid()
        row.add_column(no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(label, Text(text))
        self._console.print(row)

    def end(self, seconds: float) -> None:
        """Tell that all went well, and where to go from here."""
        self._console.print(
            Text(f"\nDone in {seconds:.1f} s: ", style="bold green")
            + Text("from a MAC and a factory-installed key to telemetry at the hub.\n")
        )
        self._console.print("Try next:")
        commands = [(words.format(keystead=_program()), why) for words, why in _NEXT]
        width = max(len(words) for words, _ in commands) + 2
        for words, why in commands:
            self._row(Text(f"  {words:<{width}}", style="bold"), why)


def _program() -> str:
    """Return what to type for `keystead` here."""
    if shutil.which("keystead"):
        return "keystead"
    return os.path.relpath(sys.argv[0])


async def _act(story: Story, folder: Path, heap: str) -> None:
    heard: Heard = asyncio.Queue()
    group = EnrollmentGroup(GROUP, hub=HUB, keys=KeyPair(keys.decode_key(GROUP_KEY, GROUP)))
    config = Config(id_scope=ID_SCOPE, assigning_replies=2, retry_after=1, groups=(group,))
    with Cloud(config, on_event=heard.put_nowait) as cloud:
        async with serve(cloud, "127.0.0.1", 0) as listener:
            story.chapter(1, "The cloud: an emulator of Azure DPS and IoT Hub")
            story.fact("address", f"127.0.0.1:{listener.port}, TLS with a throw-away root")
            story.fact("DPS", f"ID scope {ID_SCOPE}; tells a device which hub is its own")
            story.fact("enrollment group", f"{GROUP}; its devices' keys are derived from its key")
            story.fact("hub", HUB)
            board = _make(story, folder, heap, ("127.0.0.1", listener.port))
            board.install({"bench": cloud.ca_der})
            await _watch(story, board, heard)


def _make(story: Story, folder: Path, heap: str, place: tuple[str, int]) -> UnixBoard:
    record = _record(story)
    board = UnixBoard(folder, MAC, heap=heap, hosts={"*": place})
    board.write_nvs("record", record.pack())
    story.chapter(
        3, f"The board: the firmware under {board.bits}-bit MicroPython, {board.heap} of heap"
    )
    if board.bits == 64:
        story.fact("note", "no 32-bit MicroPython on this machine: 64-bit needs twice the heap")
    return board


def _record(story: Story) -> FactoryRecord:
    key = keys.derive_device_key(keys.decode_key(GROUP_KEY, GROUP), _NAME)
    story.chapter(2, "The factory: this board's own key, derived from the group's")
    story.fact("registration ID", _NAME)
    story.fact("device key", keys.encode_key(key))
    if keys.encode_key(key) != DEVICE_KEY:
        raise CommandError("the derived device key is not the one in Microsoft's article")
    story.fact("", "as in Microsoft's article; the group's key stays here")
    return FactoryRecord(MAC, ID_SCOPE, _NAME, key)


async def _watch(story: Story, board: UnixBoard, heard: Heard) -> None:
    """Show both ends until the hub has its messages; raise CommandError with the reason if not."""
    async with board.powered() as console:
        listening = asyncio.create_task(_listen(console, heard))
        try:
            async with asyncio.timeout(_LIMIT):
                await _tell(story, heard)
        except TimeoutError:
            raise CommandError(f"no telemetry within {_LIMIT} s: see the lines above") from None
        finally:
            listening.cancel()


async def _listen(console: AsyncIterator[str], heard: Heard) -> None:
    async for line in console:
        heard.put_nowait(line)
    heard.put_nowait(None)


async def _tell(story: Story, heard: Heard) -> None:
    received = 0
    failure = ""
    while received < _MESSAGES:
        what = await heard.get()
        if what is None:
            if failure:
                raise CommandError(f"the board reports failure {failure}")
            raise CommandError("the board ended before it could say why: try a larger --heap")
        if isinstance(what, Event):
            story.heard("cloud", what.line().removeprefix(_NAME).lstrip(": "), "cyan")
            received += isinstance(what, Telemetry)
            continue
        story.heard("board", what, "green")
        failure = what.partition(" FAILURE ")[2] or failure
        if failure and "next attempt:" in what:
            raise CommandError(f"the board reports failure {failure}")
