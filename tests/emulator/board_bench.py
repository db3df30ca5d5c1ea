"""A board with the real firmware in a cloud of its own, and what happens there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.events import Event
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.hub.methods import MethodAnswer, MethodCall
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.peer import Message
from host_tools.emulator.serve.listener import serve
from host_tools.virtual_board.unix_board import UnixBoard
from tests.emulator.cloud_fixtures import HUB
from tests.emulator.conftest import GROUP_KEY, NAME, MakeBoard

FAST = 30  # times the host's time: half a minute in a second
LIMIT = 30  # seconds


class Life:
    """A cloud and a board in it; what the board says and what happens there."""

    def __init__(self, cloud: Cloud, board: UnixBoard) -> None:
        self.cloud = cloud
        self.board = board
        self.hub = cloud.hubs.hub(HUB)
        self.lines: list[str] = []
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def note(self, event: Event) -> None:
        """Take an event of the cloud."""
        self.events.append(event)
        self._news.set()

    @asynccontextmanager
    async def on(self) -> AsyncIterator[None]:
        """Power the board on until the block ends."""
        async with self.board.powered() as console:
            reading = asyncio.create_task(self._read(console))
            try:
                yield
            finally:
                reading.cancel()

    async def _read(self, console: AsyncIterator[str]) -> None:
        async for line in console:
            self.lines.append(line)
            self._news.set()
        self.lines.append("(the board is off)")
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> object:
        """Wait until there is something in condition(), and return it."""
        try:
            async with asyncio.timeout(LIMIT):
                while not (found := condition()):
                    self._news.clear()
                    await self._news.wait()
                return found
        except TimeoutError:
            told = [event.line() for event in self.events]
            raise AssertionError("\n".join(["not seen:", *self.lines, *told])) from None

    async def said(self, text: str, times: int = 1) -> str:
        """Wait for the times-th line that holds text; return it."""

        def find() -> str | None:
            found = [line for line in self.lines if text in line]
            return found[times - 1] if len(found) >= times else None

        return str(await self.until(find))

    async def reported(self, condition: Callable[[dict], object]) -> dict:
        """Wait until the reported properties are as they should be; return them."""
        await self.until(lambda: NAME in self.devices() and condition(self.twin()))
        return self.twin()

    def devices(self) -> list[str]:
        return [device.device_id for device in self.hub.devices()]

    def twin(self) -> dict:
        return self.hub.twin(NAME).reported

    def of(self, kind: type) -> list:
        """Return all events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def desire(self, patch: dict) -> None:
        """Change desired properties."""
        self.hub.patch_twin(NAME, {"properties": {"desired": patch}}, time.time())

    def send(self, body: bytes, **fields: object) -> None:
        """Send a message to the device."""
        self.hub.send(NAME, CloudMessage(body, **fields), time.time())

    def push(self, topic: str, body: bytes) -> None:
        """Have the hub say something that it would not say, or not now."""
        self.hub.connections.attendance.line(NAME).push(Message(topic, body, 0))

    async def call(self, name: str, payload: object = None) -> tuple[int, object]:
        """Call a method; return status and payload of its answer."""
        answer: asyncio.Future = asyncio.get_running_loop().create_future()
        tick = self.cloud.clock.monotonic()
        self.hub.invoke(NAME, MethodCall(name, payload), tick, answer.set_result)
        async with asyncio.timeout(LIMIT):
            result = await answer
        assert isinstance(result, MethodAnswer), result
        assert not result.raw, result.raw
        return result.status, result.payload

    def fault(self, sentence: str) -> None:
        """Put a rule in force."""
        self.cloud.faults.add(Rule.from_json(sentence), time.time())


def story(
    make_board: MakeBoard, app: str, script: Callable[[Life], object], **chip: object
) -> None:
    """Put a board with this app.py into a cloud, and play script(life) with it."""

    async def play() -> None:
        group = EnrollmentGroup("g", hub=HUB, keys=KeyPair(GROUP_KEY))
        config = Config(assigning_replies=0, groups=(group,))
        noted: list[Callable[[Event], None]] = [lambda event: None]
        with Cloud(config, on_event=lambda event: noted[0](event)) as cloud:
            cloud.traces.on = True
            async with serve(cloud, "127.0.0.1", 0) as listener:
                board = make_board(listener.port, **chip)
                (board.flash / "certs" / "bench.der").write_bytes(cloud.ca_der)
                (board.flash / "app.py").write_text(app)
                life = Life(cloud, board)
                noted[0] = life.note
                await script(life)

    asyncio.run(play())


WAIT = "\n    print('ready')\n    while True:\n        device.wait(60)\n"
IDLE = "def run(device):" + WAIT
