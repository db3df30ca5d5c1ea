"""The examples as app.py of the real firmware: from the instrument at the wire to the hub."""

import asyncio
import json
import os
import pty
import re
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.emulator.events import Telemetry
from tests.emulator.board_bench import Life, story
from tests.emulator.cloud_fixtures import HUB
from tests.emulator.conftest import NAME, MakeBoard
from tests.rim.test_examples import ENERGY, VOLTAGE, Slave, instrument

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "firmware" / "examples"
# the applications that docs/application.md shows, in its order
SHOWN = re.findall("```python\n(.*?)```", (ROOT / "docs/application.md").read_text(), re.DOTALL)


def configure(life: Life, **members: object) -> None:
    """Put members into the board's config.json."""
    file = life.board.flash / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **members}))


def copy(life: Life, *names: str) -> None:
    """Put examples beside app.py."""
    for name in names:
        (life.board.flash / name).write_text((EXAMPLES / name).read_text())


def sent(life: Life) -> list[object]:
    return [json.loads(event.body) for event in life.of(Telemetry)]


def source(name: str) -> str:
    return (EXAMPLES / name).read_text()


@pytest.fixture
def wire() -> Iterator[tuple[int, str]]:
    """A serial line: the instrument's end, and the tty that is the board's."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


async def heard(end: int, text: bytes) -> None:
    """Wait until the instrument is told this."""
    got = b""
    while text not in got:  # the next thing may have come along
        got += await asyncio.to_thread(os.read, end, 64)


@pytest.mark.parametrize("bits", [32, 64])
def test_an_instruments_lines_become_telemetry_and_messages_go_to_it(
    make_board: MakeBoard, wire: tuple[int, str], bits: int
) -> None:
    end, line = wire

    async def script(life: Life) -> None:
        async with life.on():
            await life.said("hub: connected")
            os.write(end, b"+001.5 kg\r\n+00\xff.6 kg\r\n+001.7")
            await life.until(lambda: len(sent(life)) == 2)
            life.send(b"TARE")
            await heard(end, b"TARE\r\n")
            os.write(end, b" kg\r\n")
            await life.until(lambda: len(sent(life)) == 3)
        assert sent(life) == [
            {"line": "+001.5 kg", "noise": 1},
            {"line": "+00?.6 kg", "noise": 1},
            {"line": "+001.7 kg", "noise": 1},
        ]

    story(make_board, source("uart_bridge.py"), script, bits=bits, uarts={1: line})


def test_an_instrument_that_has_to_be_asked_is_asked_by_a_task(
    make_board: MakeBoard, wire: tuple[int, str]
) -> None:
    end, line = wire

    async def script(life: Life) -> None:
        copy(life, "uart_bridge.py")
        configure(life, app={"ask": "S", "every": 1})
        async with life.on():
            for number in range(1, 4):
                await heard(end, b"S\r\n")
                os.write(end, b"%d kg\r\n" % number)
            await life.until(lambda: len(sent(life)) == 3)
            life.send(b"ZERO")
            await heard(end, b"ZERO\r\n")
        assert sent(life) == [{"line": f"{number} kg"} for number in range(1, 4)]

    story(make_board, source("uart_bridge_async.py"), script, speed=5, uarts={1: line})


def test_registers_of_modbus_slaves_become_telemetry(make_board: MakeBoard) -> None:
    items = [
        {"name": "voltage", **VOLTAGE},
        {"name": "pump", "unit": 9, "address": 0},
        {"name": "energy", **ENERGY},
    ]

    async def script(life: Life) -> None:
        copy(life, "modbus.py")
        configure(life, app={"every": 1, "poll": items})
        async with life.on():
            await life.until(lambda: len(sent(life)) >= 2)
        for message in sent(life):
            assert message["errors"] == {"pump": "no answer"}
            assert round(message["voltage"], 3) == round(message["energy"], 3) == 230.2

    with instrument(Slave()) as line:
        story(make_board, source("modbus_poll.py"), script, speed=4, uarts={1: line})


def test_pulses_become_telemetry_and_the_count_can_be_set(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        configure(life, app={"pin": 14, "debounce": 0, "every": 1})
        async with life.on():
            await life.until(lambda: sent(life))
            life.board.drive(14, 0, 1, 0, 1, 0, 1)
            await life.until(lambda: sent(life)[-1] == {"count": 3})
            assert await life.call("set", {"count": 5000}) == (200, {"count": 5000})
            await life.until(lambda: sent(life)[-1] == {"count": 5000})
        life.events.clear()
        async with life.on():  # the power was gone
            await life.until(lambda: sent(life))
        assert sent(life)[0] == {"count": 5000}

    story(make_board, source("gpio_counter.py"), script, speed=5)


# ---- what docs/application.md shows


def test_the_least_application_sends(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.until(lambda: len(sent(life)) >= 2)
        assert sent(life)[:2] == [{"celsius": 21.5}] * 2

    story(make_board, SHOWN[0], script, speed=60)


def test_a_message_may_say_when_it_was_made(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.until(lambda: len(life.of(Telemetry)) == 2)
        first, second = life.of(Telemetry)
        assert first.properties["$.ctime"] == "2026-11-22T07:00:00Z"
        assert first.properties["line"] == "3"
        assert first.properties["$.ct"] == "application/json"
        assert second.body == b"\x01\x02\x03"
        assert second.properties["$.ct"] == "application/octet-stream"
        assert second.properties["$.ctime"][:2] == "20"

    story(make_board, SHOWN[1], script)


def test_what_the_cloud_says_reaches_the_handlers(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.until(lambda: sent(life))
            assert await life.call("add", {"a": 1, "b": 2}) == (200, 3)
            assert await life.call("open") == (409, {"error": "the door is locked"})
            life.send(b"something")
            await life.until(lambda: {"heard": 9} in sent(life))
            life.desire({"every": 7})
            twin = await life.reported(lambda twin: twin.get("every") == 7)
            assert twin["door"] == "locked"

    story(make_board, SHOWN[2], script)


def test_an_application_with_tasks_of_its_own_sends(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.until(lambda: len(sent(life)) >= 3)
        numbers = [message["numbers"] for message in sent(life)]
        assert numbers == sorted(set(numbers))

    story(make_board, SHOWN[3], script)


def test_every_application_shown_is_run_here() -> None:
    assert len(SHOWN) == 4


def test_a_connected_board_shows_its_status(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("Ctrl-D")
        status = "\n".join(life.lines)
        assert "network   127.0.0.1" in status
        assert re.search(r"clock     2\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", status)
        assert f"hub       {HUB}, {NAME}, for 0 days" in status
        assert "failure   none" in status
        assert status.count("hub: connected") == 2  # once when it was, once as kept

    story(make_board, "def run(device): import status", script)
