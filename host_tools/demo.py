"""The whole story on this machine, without a board and without an Azure account.

Starts a DPS and an IoT Hub on loopback and two virtual boards. The first is bare: the factory line
flashes it with the real esptool over its serial port, has it prove its key and writes it into
the ledger; then it boots from what was flashed, up to telemetry at the hub. The second runs
MicroPython already and is retrofitted. The lines with a $ are the commands a factory would type.
Names and keys are those of Microsoft's article "How to provision legacy devices using symmetric
keys".
"""

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from host_tools.key_sources import VARIABLE as KEY_SOURCE_VARIABLE
from host_tools.key_sources.local import VARIABLE as GROUP_KEY_VARIABLE
from host_tools.toolchain import micropython
from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.farm import powered
from host_tools.virtual_board.unix_board import chip_folder
from host_tools.virtual_board.virtual_board import VirtualBoard
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

BOARD, CHIP = "ESP32_GENERIC_C3", "esp32c3"
OLD_SERIAL = "007-888-abd"  # of the board that is retrofitted
OLD_MAC = bytes.fromhex("a0b2c3d4e5f7")
_CONFIG = '{"wifi": [{"ssid": "bench", "password": "no secret"}], "spread": 0}'
_UNITS = f"serial,mac\n{SERIAL},{MAC.hex(':')}\n{OLD_SERIAL},{OLD_MAC.hex(':')}\n"

# what the two ends say: the board its lines, the cloud its events
Heard = asyncio.Queue[Event | str]

_NAME = render("sn-{serial}-mac-{mac}", SERIAL, MAC)
_LIMIT = 25  # seconds

_NEXT = (
    ("{keystead} board --help", "a board like these, for esptool and mpremote"),
    ("{keystead} cloud", "a cloud that stays, for boards and SDKs"),
    ("{keystead} flash --help", "your own boards: docs/factory.md"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the one thing that may vary."""
    parser.add_argument(
        "--heap", default="", help="the boards' heap, e.g. 40k; default: an ESP32's, 64k"
    )


def run(args: argparse.Namespace) -> None:
    """Tell the story. CommandError carries the board's numbered reason if it fails."""
    micropython.interpreter(32)  # else the boards' program fails, long after
    begun = time.monotonic()
    story = Story(Console(highlight=False, soft_wrap=not sys.stdout.isatty()))
    with chip_folder() as folder:
        signals.run(_act(story, Line(story, folder), args.heap))
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

    def typed(self, command: str) -> None:
        """Tell what is typed."""
        self._row(Text("   $ ", style="bold"), command)

    def printed(self, line: str) -> None:
        """Tell what a command printed."""
        self._row(Text("   "), line)

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
            + Text(
                "from an enrollment group's key to boards that are flashed, proven, recorded.\n"
            )
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


@dataclass
class Line:
    """The factory's bench: a folder with its files, and the commands that are typed there."""

    story: Story
    folder: Path

    def furnish(self, ca: bytes) -> None:
        """Lay out what a factory has: the configuration, the cloud's root, the list of boards."""
        (self.folder / "config.json").write_text(_CONFIG)
        (self.folder / "units.csv").write_text(_UNITS)
        (self.folder / "ca.pem").write_bytes(ca)

    async def keystead(self, *words: str) -> None:
        """Type a command, and show what it prints; CommandError if it fails."""
        self.story.typed(" ".join(["keystead", *words]))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "host_tools", *words,
            cwd=self.folder,
            # the group key is nowhere else: not in a file, not among the words
            env={
                **os.environ,
                KEY_SOURCE_VARIABLE: f"env:{GROUP_KEY_VARIABLE}",  # not the user's
                GROUP_KEY_VARIABLE: GROUP_KEY,
                "KEYSTEAD_LEDGER": "ledger.db",
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self.story.printed(line.decode(errors="replace").rstrip())
            if await process.wait():
                raise CommandError(f"keystead {words[0]} did not do it: see the lines above")
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def _act(story: Story, line: Line, heap: str) -> None:
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
            line.furnish(cloud.ca_pem)
            place = ("127.0.0.1", listener.port)
            await _boards(story, line, heard, BoardSetting(CHIP, heap=heap, hosts={"*": place}))


async def _boards(story: Story, line: Line, heard: Heard, setting: BoardSetting) -> None:
    """Tell the chapters with boards; setting: of both, but for what makes each its own."""
    story.chapter(2, "The factory: plan a batch; each board's key is derived from the group's")
    _key(story)
    batch = ("--batch", "pilot")
    await line.keystead(
        "batch", "create", "pilot", "--board", BOARD, "--id-scope", ID_SCOPE, "--csv", "units.csv"
    )
    files = ("--config", "config.json", "--ca", "ca.pem")
    async with powered(replace(setting, mac=MAC)) as board:
        story.chapter(3, "The line: a bare board, flashed by esptool over its serial port")
        await line.keystead("flash", *batch, "--port", board.urls[0], "--stand-in", *files)
        story.chapter(4, "The board: boots from what was flashed, up to telemetry at its hub")
        await _watch(story, board, heard)
    async with powered(replace(setting, mac=OLD_MAC, micropython=True)) as board:
        story.chapter(5, "Retrofit: a board that runs MicroPython already keeps it")
        await line.keystead(
            "retrofit", *batch, "--port", board.urls[0], *files, "--register", "--backup", "old"
        )
    story.chapter(6, "The ledger: who was made, and that nobody changed it since")
    await line.keystead("ledger", "list")
    await line.keystead("ledger", "verify")


def _key(story: Story) -> None:
    key = keys.derive_device_key(keys.decode_key(GROUP_KEY, GROUP), _NAME)
    story.fact("registration ID", _NAME)
    story.fact("device key", keys.encode_key(key))
    if keys.encode_key(key) != DEVICE_KEY:
        raise CommandError("the derived device key is not the one in Microsoft's article")
    story.fact("", "as in Microsoft's article; the group's key stays here")


async def _watch(story: Story, board: VirtualBoard, heard: Heard) -> None:
    """Power the board, show both ends until the hub has its telemetry; else CommandError."""
    lines = Lines(heard.put_nowait)
    board.console(lines.feed)
    board.power_off()
    await board.settled()
    while not heard.empty():
        heard.get_nowait()
    board.power_on()
    try:
        async with asyncio.timeout(_LIMIT):
            await _tell(story, heard)
    except TimeoutError:
        raise CommandError(f"no telemetry within {_LIMIT} s: see the lines above") from None


class Lines:
    """Cuts what a serial port says into lines."""

    def __init__(self, told: Callable[[str], None]) -> None:
        """told: called with each line."""
        self._told = told
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what came."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._told(line.decode(errors="replace").rstrip("\r"))


async def _tell(story: Story, heard: Heard) -> None:
    failure = ""
    waited = {Telemetry, "hub: connected"}  # one from each end; which comes first is chance
    while waited:
        what = await heard.get()
        if isinstance(what, Event):
            story.heard("cloud", what.line().removeprefix(_NAME).lstrip(": "), "cyan")
            waited.discard(type(what))
            continue
        story.heard("board", what, "green")
        waited.discard(what.partition("] ")[2])
        failure = what.partition(" FAILURE ")[2] or failure
        if failure and "next attempt:" in what:
            raise CommandError(f"the board reports failure {failure}")
