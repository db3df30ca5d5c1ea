"""The application on the real firmware: with asyncio or not, ended, broken, out of memory."""

import asyncio

import pytest

from host_tools.emulator.events import Telemetry
from host_tools.emulator.hub.events import MessageCompleted, MessageDelivered
from host_tools.emulator.hub.messages import CloudMessage
from tests.emulator.simulated import HOUR, MINUTE, NAME, WAIT, Life, play


def desire(life: Life, patch: dict[str, object]) -> None:
    life.home.patch_twin(NAME, {"properties": {"desired": patch}}, life.now)


def up_to_date(life: Life) -> bool:
    """Tell whether the newest desired properties were seen."""
    twin = life.home.twin_document(NAME)["properties"]
    return bool(twin["reported"].get("seen") == twin["desired"]["$version"])


def numbers(life: Life) -> list[int]:
    """Return what the application sent, if that were numbers."""
    return [int(event.body) for event in life.of(Telemetry)]


# ---- asyncio

ASYNC = """
import asyncio

async def beside():
    while True:
        await asyncio.sleep(60)
        print('beside')

async def run(device):
    asyncio.create_task(beside())
    device.on_method('echo', lambda payload: payload)
    number = 0
    while True:
        number += 1
        device.send(str(number))
        await asyncio.sleep(30)
"""


@pytest.mark.parametrize("bits", [32, 64])
def test_an_application_may_use_asyncio(bits: int) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        for number in range(5):
            await asyncio.sleep(100)
            asked = life.now
            assert await life.call("echo", number) == (200, number)
            assert life.now - asked <= 5  # the cloud looks at its calls as seldom as that
        life.drop()
        await life.connected(within=MINUTE)
        await asyncio.sleep(2 * MINUTE)
        sent = set(numbers(life))
        assert sent == set(range(1, len(sent) + 1))
        assert len(sent) > 20
        assert life.count("beside") > 8
        assert life.failures() == ["36 connection-lost"]

    play(script, ASYNC, bits=bits)


def test_an_asyncio_application_that_breaks_is_started_again_and_leaves_nothing_behind() -> None:
    app = """
import asyncio

async def beside(name):
    while True:
        await asyncio.sleep(1)
        print('beside of', name)

async def run(device):
    name = device.uses = getattr(device, 'uses', 0) + 1
    asyncio.create_task(beside(name))
    await asyncio.sleep(5)
    if name == 1:  # line 13
        raise ValueError('once')
    print('ready')
    await asyncio.sleep(1000)
"""

    async def script(life: Life) -> None:
        await life.said("ready")
        told = await life.reported(lambda told: told["lastFailure"]["number"] == 92, MINUTE)
        assert told["lastFailure"]["text"] == "app-broken: ValueError('once',)"
        assert life.count('File "app.py", line 14, in run') == 1
        assert life.count("Traceback") == 1
        life.lines.clear()
        life.times.clear()
        await asyncio.sleep(20)
        assert life.count("beside of 2") > 10
        assert life.count("beside of 1") == 0
        assert len(life.hubs_joined) == 1

    play(script, app)


def test_an_asyncio_application_may_end_and_its_handlers_stay() -> None:
    app = """
async def run(device):
    device.on_method('echo', lambda payload: payload)
"""

    async def script(life: Life) -> None:
        await life.said("app.py returned")
        assert await life.call("echo", 5) == (200, 5)

    play(script, app)


# ---- applications that end


def test_an_application_that_returned_goes_on_being_called() -> None:
    app = """
def run(device):
    device.on_method('echo', lambda payload: payload)
    device.on_message(lambda payload, properties: print('took', payload))
    device.on_desired(lambda patch, version: {'seen': version})
"""

    async def script(life: Life) -> None:
        await life.said("app.py returned; staying connected")
        for _ in range(2):
            assert await life.call("echo", 5) == (200, 5)
            life.home.send(NAME, CloudMessage(b"x"), life.now)
            await life.said("took b'x'", life.count("took") + 1)
            desire(life, {"t": life.now})
            await life.until(lambda: up_to_date(life))
            await asyncio.sleep(HOUR)  # with another connection
        assert life.count("app.py returned") == 1
        assert life.failures() == []

    play(script, app)


def test_an_application_that_broke_is_told_and_costs_no_connection() -> None:
    app = """
def run(device):
    device.on_method('echo', lambda payload: payload)
    device.wait(60)
    raise ValueError('not my day')
"""

    async def script(life: Life) -> None:
        await life.said("next start")
        for line in ('File "app.py", line 5, in run', "ValueError: not my day"):
            await life.said(line)
        told = await life.reported(lambda told: told["lastFailure"]["number"] == 92, MINUTE)
        assert told["lastFailure"]["text"] == "app-broken: ValueError('not my day',)"
        lines = (await life.call("keystead*log", {"lines": 30}))[1]["lines"]
        assert any('File "app.py", line 5' in line for line in lines)
        if (await life.call("keystead*status"))[0] == 200:
            await life.said("next start", 4)
        waits = [int(line.split(" in ")[1].split()[0]) for line in life.lines if "next st" in line]
        assert waits[0] < 10
        assert max(waits) > 10  # 10 s at most, 20 s, 40 s, by lot
        assert len(life.hubs_joined) == 1

    play(script, app)


def test_a_message_for_an_application_that_is_down_waits_until_it_is_up() -> None:
    app = """
def run(device):
    open('mended')
    device.on_message(lambda payload, properties: print('took', payload))"""

    async def script(life: Life) -> None:
        await life.said("next start")
        life.home.send(NAME, CloudMessage(b"once"), life.now)
        await life.until(lambda: life.of(MessageDelivered))
        (life.board.unix.flash / "mended").touch()
        await life.said("took b'once'")
        await life.until(lambda: life.of(MessageCompleted))
        assert len(life.of(MessageDelivered)) == 2

    play(script, app + WAIT)


def test_a_board_without_an_application_is_at_its_hub_and_says_so() -> None:
    async def script(life: Life) -> None:
        (life.board.unix.flash / "app.py").unlink()
        await life.reported(lambda told: told.get("lastFailure", {}).get("number") == 91)
        assert (await life.call("nothing"))[0] == 404
        assert (await life.call("keystead*status"))[0] == 200
        (life.board.unix.flash / "app.py").write_text("def run(device): print('here it is')")
        await life.said("here it is")
        assert len(life.hubs_joined) == 1

    play(script)


# ---- no memory


def test_an_application_that_needs_more_memory_than_there_is_is_told_and_started_again() -> None:
    app = "def run(device):\n    kept = []\n    while True: kept.append(bytearray(500))"

    async def script(life: Life) -> None:
        await life.said("next start", 3)
        told = await life.reported(lambda told: told.get("lastFailure", {}).get("number") == 12)
        assert told["lastFailure"]["text"].startswith("out-of-memory: app.py: memory alloc")
        assert (await life.call("keystead*status"))[0] == 200
        assert len(life.hubs_joined) == 1

    play(script, app)


GREEDY = """
def greedy(*arguments):
    kept = []
    while True:
        kept.append(bytearray(500))

def run(device):
    device.on_method('greedy', greedy)
    device.on_method('echo', lambda payload: payload)
    device.on_message(greedy)
    device.on_desired(greedy)"""


def test_a_handler_that_needs_more_memory_than_there_is_costs_no_connection() -> None:
    async def script(life: Life) -> None:
        await life.said("ready")
        status, answer = await life.call("greedy")
        assert (status, answer["error"].partition(":")[0]) == (500, "MemoryError")
        life.home.send(NAME, CloudMessage(b"x"), life.now)
        await life.until(lambda: life.of(MessageCompleted))
        desire(life, {"t": 1})
        told = await life.until(lambda: life.home.twin(NAME).reported.get("t"))
        assert (told["ac"], told["ad"].partition(":")[0]) == (500, "MemoryError")
        assert await life.call("echo", 5) == (200, 5)
        assert len(life.hubs_joined) == 1

    play(script, GREEDY + WAIT)


HOG = """
import gc, machine

def hog(left):
    kept = []
    spare = bytearray(left)
    try:
        while True:
            kept.append(bytearray(64))
    except MemoryError:
        return kept

%s
    if machine.reset_cause() == 1:
        kept = hog(%d)
    device.renew = True
    %s
"""
PLAIN = "def run(device):", "device.wait(9999)"
ASYNC_TOO = "import asyncio\nasync def run(device):", "await asyncio.sleep(9999)"
STUBBORN = (
    "def run(device):",
    """while True:
        try:
            device.wait(60)
        except Exception:
            print('never mind')""",
)


@pytest.mark.parametrize("left", [0, 4000])
@pytest.mark.parametrize("kind", [PLAIN, ASYNC_TOO, STUBBORN], ids=["plain", "async", "stubborn"])
def test_an_application_that_leaves_no_memory_for_a_renewal_does_not_cut_the_board_off(
    kind: tuple[str, str], left: int
) -> None:
    async def script(life: Life) -> None:
        await life.said("FAILURE 12 out-of-memory")  # then it was ended, or reset with the board
        await asyncio.sleep(5 * MINUTE)
        assert life.home.connections.attendance.line(NAME), life.told()

    play(script, HOG % (kind[0], left, kind[1]))
