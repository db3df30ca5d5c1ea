"""The real firmware at our hub: methods and messages, and what is too large."""

import pytest

from host_tools.emulator.events import Connected
from host_tools.emulator.hub.events import MessageCompleted, MessageDelivered
from tests.emulator.board_bench import WAIT, Life, story
from tests.emulator.conftest import NAME, MakeBoard

# ---- direct methods


METHODS = (
    """
def bad(payload):
    raise ValueError('no' + chr(10) + 'way')
def run(device):
    device.on_method('add', lambda payload: payload['a'] + payload['b'])
    device.on_method('late', lambda payload: (202, {'later': payload}))
    device.on_method('nan', lambda payload: float('nan'))
    device.on_method('big', lambda payload: 'x' * payload)
    device.on_method('bad', bad)"""
    + WAIT
)


@pytest.mark.parametrize("bits", [32, 64])
def test_direct_methods_are_answered_with_status_and_json(
    make_board: MakeBoard, bits: int
) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            assert await life.call("add", {"a": 1, "b": 2}) == (200, 3)
            assert await life.call("late", [None, "\u65e5"]) == (202, {"later": [None, "\u65e5"]})
            status, answer = await life.call("unknown")
            assert (status, answer) == (404, {"error": "there is no method unknown"})
            status, answer = await life.call("bad")
            assert (status, answer) == (500, {"error": "ValueError: no.way"})
            assert (await life.call("nan"))[0] == 500
            # who called is told, the traceback is in the log, the reason in the twin, and the
            # connection is what it was
            await life.said('File "app.py", line 3, in bad')
            await life.said("app-broken: bad: ValueError: no.way")
            await life.reported(lambda twin: twin["keystead"]["lastFailure"]["number"] == 92)
            assert await life.call("add", {"a": "x", "b": "y"}) == (200, "xy")
        assert len(life.of(Connected)) == 2  # to DPS and to the hub, once

    story(make_board, METHODS, script, bits=bits)


def test_an_answer_that_the_hub_would_not_take_is_a_word_instead(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            status, answer = await life.call("big", 131071)  # and two quotation marks
            assert (status, answer) == (500, {"error": "ValueError: the answer has 131073 bytes"})
            assert await life.call("big", 131070) == (200, "x" * 131070)

    story(make_board, METHODS, script, heap="2m")


def test_a_call_that_is_not_json_is_answered_with_400(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            for number, payload in enumerate((b"nonsense", b"\xff", b"[" * 300)):
                life.push(f"$iothub/methods/POST/add/?$rid=f{number}", payload)
            life.push("$iothub/methods/POST/%%%/?", b"null")
            life.push("$iothub/nothing", b"")
            assert await life.call("add", {"a": 1, "b": 2}) == (200, 3)
        said = str(life.cloud.traces.documents(NAME))
        for number in range(3):
            assert f"$iothub/methods/res/400/?$rid=f{number}" in said

    story(make_board, METHODS, script)


# ---- cloud-to-device messages


MESSAGES = (
    """
def took(payload, properties):
    print('took', payload, sorted((name, value or '') for name, value in properties.items()))
    if payload == b'bad':
        raise ValueError
def run(device):
    device.on_message(took)"""
    + WAIT
)


def test_messages_arrive_with_their_properties_those_of_the_time_away_first(
    make_board: MakeBoard,
) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
        life.send(b"one", message_id="m1", content_type="text/plain")
        life.send(b"bad")
        async with life.on():
            await life.said("ready", 2)
            await life.until(lambda: len(life.of(MessageCompleted)) == 2)
            life.send(b"two", properties={"high & low": "a/b", "flag": None})
            await life.until(lambda: len(life.of(MessageCompleted)) == 3)
            await life.said("took b'two'")
        to = f"('$.to', '/devices/{NAME}/messages/deviceBound')"
        assert [line for line in life.lines if line.startswith("took")] == [
            f"took b'one' [{to}, ('content_type', 'text/plain'), ('message_id', 'm1')]",
            f"took b'bad' [{to}]",
            f"took b'two' [{to}, ('flag', ''), ('high & low', 'a/b')]",
        ]
        assert len(life.of(MessageDelivered)) == 3  # each once, the bad one too

    story(make_board, MESSAGES, script)


def test_a_message_whose_handler_did_not_end_comes_again(make_board: MakeBoard) -> None:
    app = """
import machine
def took(payload, properties):
    print('took', payload)
    if machine.reset_cause() == 1:
        machine.reset()
def run(device):
    device.on_message(took)"""

    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            life.send(b"once")
            await life.said("(the board is off)")
        assert not life.of(MessageCompleted)
        async with life.on():
            await life.said("took b'once'", 2)
            await life.until(lambda: life.of(MessageCompleted))

    story(make_board, app + WAIT, script)


def test_more_messages_than_the_device_can_hold_arrive_all_the_same(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
        for number in range(30):
            life.send(b"m%d" % number)
        async with life.on():
            await life.until(lambda: len(life.of(MessageCompleted)) == 30)
            await life.said("took", 30)
        took = [line.split()[1] for line in life.lines if line.startswith("took")]
        assert sorted(took) == sorted(f"b'm{number}'" for number in range(30))

    story(make_board, MESSAGES, script)


def test_what_is_too_large_costs_a_word_and_no_connection(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            answer = await life.call("add", {"a": "x" * 4000, "b": "x" * 4000})
            assert answer == (413, {"error": "the payload is too large"})
            life.send(b"x" * 65000)
            await life.until(lambda: life.of(MessageCompleted))
            life.desire({"a": "x" * 4000, "b": "x" * 4000})
            await life.said("twin-rejected: 413")
            assert await life.call("add", {"a": 1, "b": 2}) == (200, 3)
        assert len(life.of(Connected)) == 2
        assert len(life.of(MessageDelivered)) == 1

    story(make_board, METHODS, script)
