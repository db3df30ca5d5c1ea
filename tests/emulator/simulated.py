"""A board and its cloud in simulated time, played by a test: hours take a fraction of a second.

The firmware, TLS and the cloud are the real ones; the time is tests/soak's, which jumps as soon as
nobody has anything to do. So what a test waits for is exact, however slow the machine.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from host_tools.emulator.dps.assignment import SERVICE
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Connected, Event
from host_tools.emulator.faults.faults import Struck
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.hub.methods import MethodAnswer, MethodCall
from host_tools.emulator.key_pair import KeyPair
from host_tools.keys import derive_device_key
from host_tools.virtual_board.unix_board import chip_folder
from tests.soak.board import Board
from tests.soak.soak import Soak

DAY, HOUR, MINUTE = 86400, 3600, 60
FIRST, SECOND = Soak.hubs
NAME = Soak.device_id
MAC = bytes.fromhex("a1b2c3d4e5f6")
_YEARS = 3650  # days

WAIT = "\n    print('ready')\n    while True:\n        device.wait(60)\n"
IDLE = "def run(device):" + WAIT


class Over(Exception):
    """The script has come to its end."""


class Life(Soak):
    """A cloud with two hubs and a board in it; what the board says and what happens there."""

    def __init__(
        self,
        folder: Path,
        app: str,
        script: Callable[["Life"], Coroutine[Any, Any, None]],
        config: Mapping[str, object],
        **soak: Any,
    ) -> None:
        """script: played with this; config: more for the board's config.json."""
        file = folder / "app.py"
        file.write_text(app)
        super().__init__(folder, (), _YEARS, 1, app=file, ticks=0, **soak)
        self.lines: list[str] = []
        self.times: list[float] = []  # of the lines: seconds since the beginning
        self.events: list[Event] = []
        # its half that is in C goes by the host's ticks: what it says is "now" must be over
        self._asyncio = "async def" in app
        self._scene = script
        self._settings = config
        self._news = asyncio.Event()

    def _board(self, hosts: dict[str, tuple[str, int]]) -> Board:
        board = super()._board(hosts)
        settings = board.unix.flash / "config.json"
        document = json.loads(settings.read_text())
        document.pop("journal", None)
        settings.write_text(json.dumps({**document, **self._settings}))
        return board

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()

        def end(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            loop.call_exception_handler({"message": "", "exception": error or Over()})

        self._playing = loop.create_task(self._scene(self))
        self._playing.add_done_callback(end)

    def power(self, on: bool) -> None:
        """Give the board power, or take it."""
        if self._asyncio:
            self._first_ticks = int(time.monotonic() * 1000) & 0x3FFFFFFF
        super().power(on)

    def _line(self, text: str) -> None:
        self.lines.append(text)
        self.times.append(self.board.since / 1000)
        self._news.set()

    def _event(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def _turned(self) -> None:
        pass

    def _stopped(self, why: str) -> None:
        self._line(f"(the board stopped: {why})")
        self.board.unix.cut = 0
        super()._stopped(why)

    # ---- what is waited for

    async def until(self, condition: Callable[[], object], within: float = HOUR) -> Any:
        """Wait until there is something in condition(), and return it; within: seconds."""
        try:
            async with asyncio.timeout(within):
                while not (found := condition()):
                    self._news.clear()
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"not seen:\n{self.told()}") from None

    def told(self) -> str:
        """Return the console and what happened in the cloud, for a person."""
        said = [f"{at:9.1f} {line}" for at, line in zip(self.times, self.lines, strict=True)]
        return "\n".join([*said, *(event.line() for event in self.events)])

    async def said(self, text: str, times: int = 1, within: float = HOUR) -> str:
        """Wait for the times-th line that holds text; return it."""

        def find() -> str | None:
            found = [line for line in self.lines if text in line]
            return found[times - 1] if len(found) >= times else None

        return str(await self.until(find, within))

    async def connected(self, within: float = HOUR) -> None:
        """Wait for the next connection to a hub."""
        times = sum("hub: connected" in line for line in self.lines)
        await self.said("hub: connected", times + 1, within)

    async def reported(
        self, condition: Callable[[dict[str, Any]], object], within: float = HOUR
    ) -> dict[str, Any]:
        """Wait until the component's reported properties are as they should be; return them."""

        def find() -> dict[str, Any] | None:
            hub = self.hub()
            told = hub.twin(NAME).reported.get("keystead", {}) if hub else {}
            return told if condition(told) else None

        return dict(await self.until(find, within))

    # ---- what was seen

    def of(self, kind: type) -> list[Any]:
        """Return all events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def dps_calls(self) -> int:
        """Return how often the board was let in at DPS."""
        return sum(event.service == SERVICE for event in self.of(Connected))

    @property
    def hubs_joined(self) -> list[str]:
        """Return the hubs that let the board in, one after the other."""
        return [event.service for event in self.of(Connected) if event.service != SERVICE]

    def struck(self) -> list[Struck]:
        """Return the faults that happened."""
        return self.of(Struck)

    def count(self, text: str) -> int:
        """Return how many lines hold text."""
        return sum(text in line for line in self.lines)

    def failures(self) -> list[str]:
        """Return number and name of each failure that was told."""
        found = [re.search(r"FAILURE (\d+ [a-z-]+)", line) for line in self.lines]
        return [match[1] for match in found if match]

    def waits(self) -> list[int]:
        """Return the waits that were told, in seconds."""
        found = [re.search(r"next attempt:  in (\d+) s", line) for line in self.lines]
        return [int(match[1]) for match in found if match]

    # ---- what is done

    @property
    def home(self) -> Hub:
        """Return the hub that has the identity."""
        hub = self.hub()
        assert hub
        return hub

    def set_group(self, **changes: Any) -> None:
        """Change the enrollment group."""
        dps = self.cloud.dps
        dps.put_group(replace(dps.group(self.group), **changes), self.now, "*")

    def set_keys(self, *keys: bytes) -> None:
        """Change the pair at the hub's identity."""
        self.home.update(NAME, self.now, keys=KeyPair(*keys))

    def device_key(self, number: int) -> bytes:
        """Return the device's key of a group key."""
        return derive_device_key(self.keys[number], NAME)

    async def cycle(self, seconds: float = 10, cut: int = 0) -> None:
        """Take its power, for a while; cut: see UnixBoard."""
        self.power(False)
        await asyncio.sleep(seconds)
        self.board.unix.cut = cut
        self.power(True)

    async def call(self, name: str, payload: object = None) -> tuple[int, Any]:
        """Call a method; return status and payload of its answer."""
        answer: asyncio.Future[MethodAnswer | ServiceError] = (
            asyncio.get_running_loop().create_future()
        )
        call = MethodCall(name, payload)
        self.home.invoke(NAME, call, self.timeline.monotonic(), answer.set_result)
        result = await answer
        assert isinstance(result, MethodAnswer), f"{result}\n{self.told()}"
        return result.status, result.payload

    def in_nvs(self, name: str) -> Path:
        """Return the file that plays an entry of NVS."""
        return self.board.unix.folder / "nvs" / "keystead" / name


def play(
    script: Callable[[Life], Coroutine[Any, Any, None]],
    app: str = IDLE,
    config: Mapping[str, object] = {},
    **soak: Any,
) -> None:
    """Put a board with this app.py into a cloud, power it on, and play script(life) with it."""
    with chip_folder() as folder:
        try:
            Life(folder, app, script, config, **soak).run()
        except Over:
            return
        raise AssertionError("the script did not end")
