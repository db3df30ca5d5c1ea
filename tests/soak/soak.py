"""A soak: the real firmware at our own cloud for a month of its time, and all that goes wrong.

Owns the bench: the cloud with two hubs, one board, and how incidents are done to them. Doesn't own
which incidents (script.py), the time (world.py) nor what is made of it all (oracle.py).
"""

import asyncio
import atexit
import functools
import json
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from starlette.applications import Starlette

from host_tools.emulator.clock import Clock
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import ID_SCOPE, Config, LinkedHub
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.faults.rule import from_sentence
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.hub.methods import MethodAnswer, MethodCall
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.rest import dps_device
from host_tools.emulator.serve.datagrams import serve_datagrams
from host_tools.emulator.serve.http import serve_http
from host_tools.emulator.serve.listener import serve
from host_tools.keys import derive_device_key
from host_tools.virtual_board.unix_board import UnixBoard
from keystead.record import FactoryRecord
from tests.soak.board import OVERLAY, POWER_ON, Board
from tests.soak.incidents import DAY, MINUTE, Incident
from tests.soak.oracle import Oracle
from tests.soak.timeline import Loop, Timeline
from tests.soak.world import World

APP = Path(__file__).parent / "app.py"
BEGIN = 1_803_859_200  # 2027-03-01T00:00:00Z
_EPOCH = 946_684_800  # of the chip's clock
_MAC = bytes.fromhex("a1b2c3d4e5f6")
_PROBES = 5000  # seconds between two of them
_ECHO = 100  # seconds for what it answers
_SWEEP = 5.0  # seconds between two looks of the cloud at its deadlines
_PAUSE = 10  # seconds without power where it fails by itself
_RESET = 0.3  # seconds
WRAP = 1 << 30  # ticks_ms
_COMING = 5  # incidents, in one of which they may wrap
# of the firmware; 4 KB of it are for the modules in on_board
HEAPS = {32: "80k", 64: "160k"}
_JOURNAL = {"bytes": 65536, "days": 7}


class Soak:
    """One soak: a bench for incidents."""

    group = "field"
    device_id = "sn-007-888-abc"
    hubs: tuple[str, ...] = ("hub-a.azure-devices.net", "hub-b.azure-devices.net")

    def __init__(
        self,
        folder: Path,
        script: Sequence[Incident],
        days: float,
        seed: int,
        bits: int = 32,
        heap: str = "",
        app: Path = APP,
        ticks: int | None = None,
        say: Callable[[int, str], object] = lambda now, text: None,
    ) -> None:
        """folder: for the board and the cloud; script: in order of time; heap: see UnixBoard.

        app: the board's app.py; ticks: at which ticks_ms() begins at power-on, None to draw it;
        say: told the time in milliseconds and each line of the story.
        """
        self.oracle = Oracle(BEGIN)
        self.timeline = Timeline(BEGIN)
        self.world = World(self.timeline, self._stopped)
        self.world.on_turn = self._turned
        self.seconds = 0.0  # real ones, that it took
        self._chance = Random(f"the bench of soak {seed}")
        self.keys = tuple(self._chance.randbytes(64) for _ in range(4))
        self._folder, self._script, self._days = folder, script, days
        self._bits, self._heap = bits, heap or HEAPS[bits]
        self._app, self._first_ticks = app, ticks
        self._say = say
        self._silent_servers = 0
        self._cut: asyncio.TimerHandle | None = None
        self._turns = -1
        self._ticks = self._booted = self._wraps = 0
        self._writes = 0

    def run(self) -> Oracle:
        """Run it; return what was seen."""
        begun = time.monotonic()
        with asyncio.Runner(loop_factory=lambda: Loop(self.timeline, self.world.idle)) as runner:
            runner.run(self._run())
        self.seconds = time.monotonic() - begun
        self.nvs = self._nvs_writes()
        self.oracle.finish()
        return self.oracle

    def _nvs_writes(self) -> Counter[str]:
        written = (self._folder / "board" / "nvs" / "writes").read_text().splitlines()
        return Counter(line.split()[0].partition("/")[2] for line in written)

    async def _run(self) -> None:
        keys = KeyPair(*self.keys[:2])
        group = EnrollmentGroup(self.group, hub=self.hubs[0], keys=keys)
        config = Config(
            assigning_replies=1, retry_after=3, groups=(group,), throttle=True,
            links=tuple(map(LinkedHub, self.hubs)),
        )  # fmt: skip
        state = self._folder / "cloud"
        state.mkdir()
        cloud = Cloud(
            config, on_event=self._event, state_dir=state, random=self._chance.randbytes,
            clock=self.timeline,
        )  # fmt: skip
        async with AsyncExitStack() as stack:
            self.cloud = stack.enter_context(cloud)
            self.cloud.faults.seed = self._chance.getrandbits(32)
            hosts = await self._serve(stack)
            self.world.board = self._board(hosts)
            stack.callback(self._end)
            self._plan()
            self.power(True)
            over = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().set_exception_handler(partial(_pass_on, over))
            with suppress(TimeoutError):
                await asyncio.wait_for(over, self._days * DAY)

    async def _serve(self, stack: AsyncExitStack) -> dict[str, tuple[str, int]]:
        host, air = "127.0.0.1", self.world.air
        mqtt = await stack.enter_async_context(serve(self.cloud, host, 0, _SWEEP))
        rest = await stack.enter_async_context(
            serve_http(
                self.cloud,
                Starlette(routes=dps_device.routes(self.cloud)),
                self.cloud.tls_context(host),
                host,
                0,
                clock=self.timeline,
                tick=_SWEEP,
            )
        )
        ntp = await stack.enter_async_context(
            serve_datagrams(self._time, host, 0, "NTP", self.timeline)
        )
        stack.push_async_callback(air.close)
        return {
            "*": (host, await air.open(mqtt.port)),
            "*:443": (host, await air.open(rest.port)),
            "*:123": (host, ntp),
        }

    def _board(self, hosts: dict[str, tuple[str, int]]) -> Board:
        unix = UnixBoard(
            self._folder / "board", _MAC, bits=self._bits, heap=self._heap, hosts=hosts,
            overlay=OVERLAY,
        )  # fmt: skip
        shutil.copytree(_installed(), unix.folder)
        (unix.flash / "certs" / "bench.der").write_bytes(self.cloud.ca_der)
        shutil.copyfile(self._app, unix.flash / "app.py")
        settings = unix.flash / "config.json"
        document = json.loads(settings.read_text())
        settings.write_text(json.dumps({**document, "journal": _JOURNAL}))
        primary, secondary = (derive_device_key(key, self.device_id) for key in self.keys[:2])
        record = FactoryRecord(_MAC, ID_SCOPE, self.device_id, primary, secondary)
        unix.write_nvs("record", record.pack())
        return Board(unix, self._line)

    def _end(self) -> None:
        if self.board.is_on:
            self.world.air.forget_board()
            self.board.end(POWER_ON)

    # ---- the plan

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        for incident in self._script:
            loop.call_at(incident.at, self._begin, incident)
            if incident.lasts:
                loop.call_at(incident.over, self._over, incident)
        self._look()
        loop.call_later(_PROBES, self._probe, 1)

    def _begin(self, incident: Incident) -> None:
        self.oracle.now = self.timeline.now
        self._tell(f"-- {incident.sentence}")
        self.oracle.began(incident)
        incident.kind_of.begin(self, incident.figures)

    def _over(self, incident: Incident) -> None:
        self.oracle.now = self.timeline.now
        self._tell(f"-- over: {incident.sentence}")
        self.oracle.over(incident)
        incident.kind_of.end(self, incident.figures)

    def _look(self) -> None:
        asyncio.get_running_loop().call_later(60, self._look)
        self.oracle.now = self.timeline.now
        wraps = (self._ticks + self.timeline.now - self._booted) // WRAP
        self.oracle.counts["wraps of ticks_ms"] += wraps - self._wraps
        self._wraps = wraps
        air = self.world.air
        self.oracle.look(self.board.is_on and air.carries and air.reaches)

    # where nothing is wrong, everything works: a message, a method, a desired property
    def _probe(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(_PROBES, self._probe, number + 1)
        hub, since = self.hub(), self.oracle.calm_since
        if hub is None or since is None:
            return
        answers: list[object] = []

        def done(answer: MethodAnswer | ServiceError) -> None:
            answers.append(answer.payload if isinstance(answer, MethodAnswer) else answer)

        def check() -> None:
            self.oracle.now = self.timeline.now
            if self.oracle.calm_since == since:
                reported = hub.twin_document(self.device_id)["properties"]["reported"]
                self.oracle.probed(number, answers, reported.get("probe"))

        self._tell(f"-- probe {number}")
        hub.send(self.device_id, CloudMessage(b"probe %d" % number), self.now)
        hub.invoke(self.device_id, MethodCall("echo", number), self.timeline.monotonic(), done)
        desired = {"properties": {"desired": {"probe": number}}}
        hub.patch_twin(self.device_id, desired, self.now)
        loop.call_later(_ECHO, check)

    # ---- what is seen

    @property
    def board(self) -> Board:
        """Return the board."""
        assert self.world.board
        return self.world.board

    def _tell(self, text: str) -> None:
        self._say(self.timeline.now, text)

    def _line(self, text: str) -> None:
        board = self.board
        self._say(board.since, text)
        self.oracle.now = board.since
        if board.question:
            self.oracle.wrong_by = (
                board.question.clock + _EPOCH - round(BEGIN + board.since / 1000)
            )
        self.oracle.line(text)

    def _event(self, event: Event) -> None:
        self.oracle.now = self.timeline.now
        # the port is the kernel's choice, and another one each time
        line = re.sub(r"127\.0\.0\.1:\d+", "an address", event.line())
        self._tell(f"{'':42}{line}")
        self.oracle.event(event)

    def _turned(self) -> None:
        question = self.board.question
        assert question
        self.oracle.wrong_by = question.clock + _EPOCH - round(self.now)
        if question.writes != self._writes:
            self.oracle.now = self.timeline.now
            self.oracle.wrote(question.writes - self._writes)
            self._writes = question.writes
        if self._turns >= 0:
            self._turns -= 1
            if self._turns < 0:
                asyncio.get_running_loop().call_soon(self._fail_power)

    def _stopped(self, why: str) -> None:
        loop = asyncio.get_running_loop()
        self.oracle.now = self.timeline.now
        if why:
            self._tell(f"-- {why}")
            self.oracle.stopped(why)
            loop.call_later(_RESET, self.power, True)
        else:
            self._tell("-- its power fails in the middle of a write to flash")
            loop.call_later(_PAUSE, self.power, True)

    def _fail_power(self) -> None:
        self._tell("-- its power fails as it waits")
        self.power(False)
        asyncio.get_running_loop().call_later(_PAUSE, self.power, True)

    def _time(self, question: bytes, address: str, now: float) -> tuple[bytes, float] | None:
        air = self.world.air
        if self._silent_servers or not (air.carries and air.reaches):
            return None
        air.stir()
        return Clock(self.cloud.faults).answer(question, address, now)

    # ---- for incidents

    @property
    def now(self) -> float:
        """Return Unix time."""
        return self.timeline.time()

    def rule(self, sentence: str) -> int:
        """Put a rule in force; return its number."""
        return self.cloud.faults.add(from_sentence(sentence), self.now)

    def hub(self) -> Hub | None:
        """Return the hub at which the device has an identity."""
        return next((hub for hub in self.cloud.hubs.all() if hub.find(self.device_id)), None)

    def drop(self) -> None:
        """End the device's connection to its hub."""
        hub = self.hub()
        if hub:
            hub.connections.attendance.drop(self.device_id, "the hub hangs up", self.now)

    def radio(self, carries: bool) -> None:
        """Have the radio reach the network, or not."""
        self.world.air.change(carries=carries)

    def uplink(self, reaches: bool) -> None:
        """Have the network reach the world, or not."""
        self.world.air.change(reaches=reaches)

    def time_servers(self, answer: bool) -> None:
        """Have time servers answer, or not."""
        self._silent_servers += -1 if answer else 1

    def set_clock_off(self, seconds: int) -> None:
        """Have the chip's clock jump."""
        self.board.set_clock_off(seconds)
        self.world.air.stir()

    def power(self, on: bool) -> None:
        """Give the board power, or take it."""
        board = self.board
        if on and not board.is_on:
            self._writes = 0
            self.oracle.powered_on()
            self._ticks, self._booted, self._wraps = self._drawn_ticks(), self.timeline.now, 0
            board.power_on(
                self.timeline.now, self.now, self._ticks, self._chance.getrandbits(29),
                self.world.air.flags,
            )  # fmt: skip
            self.world.heard(board)
        elif not on and board.is_on:
            self.world.air.forget_board()
            board.end(POWER_ON)

    # in half of all runs they wrap in the midst of something; on a chip that takes 12 days
    def _drawn_ticks(self) -> int:
        if self._first_ticks is not None:
            return self._first_ticks
        now = self.timeline.now
        coming = [one for one in self._script if 1000 * one.at > now][:_COMING]
        if not coming or self._chance.random() < 0.5:
            return 0
        one = self._chance.choice(coming)
        return max(0, WRAP + now - self._chance.randint(1000 * one.at, 1000 * (one.over + MINUTE)))

    def cut_after(self, written: int) -> None:
        """Take its power in the middle of a write to flash, so many bytes from now; -1: do not."""
        question = self.board.question
        if question:
            self.board.cut_after(question.written + written if written >= 0 else 0x7FFFFFFF)

    def cut_in(self, turns: int) -> None:
        """Take its power as it waits for the so manyth time from now; -1: do not."""
        self._turns = turns


@functools.cache
def _installed() -> Path:
    """Return a board's folder with the firmware in its flash, made once for all soaks."""
    folder = Path(tempfile.mkdtemp(prefix="keystead-"))
    atexit.register(shutil.rmtree, folder)
    UnixBoard(folder / "board", _MAC, overlay=OVERLAY).install({})
    return folder / "board"


# asyncio would only log it
def _pass_on(
    over: asyncio.Future[None], loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    if not over.done():
        over.set_exception(context.get("exception") or RuntimeError(context["message"]))
