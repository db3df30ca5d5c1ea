"""The real firmware at our hub: messages, methods, the twin, and what Keystead itself answers."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.events import Assigned, Connected, Event
from host_tools.emulator.faults.faults import Struck
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.hub.events import MessageCompleted, MessageDelivered
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.hub.methods import MethodAnswer, MethodCall
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.peer import Message
from host_tools.emulator.serve.listener import serve
from host_tools.virtual_board.unix_board import UnixBoard
from tests.emulator.cloud_fixtures import HUB
from tests.emulator.conftest import DEVICE_KEY, GROUP_KEY, NAME, MakeBoard

ROOT = Path(__file__).parents[2]
FAST, FASTER = 30, 120  # times the host's time: half a minute in a second, or in a quarter
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


def test_a_message_for_an_application_that_is_down_waits_until_it_is_up(
    make_board: MakeBoard,
) -> None:
    app = """
def run(device):
    try:
        open('second')
    except OSError:
        open('second', 'w').close()
        raise
    device.on_message(lambda payload, properties: print('took', payload))"""

    async def script(life: Life) -> None:
        async with life.on():
            await life.said("next start")
            life.send(b"once")
            await life.said("took b'once'")
            await life.until(lambda: life.of(MessageCompleted))
        assert len(life.of(MessageDelivered)) == 2

    story(make_board, app + WAIT, script, speed=FAST)


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


# ---- the twin

DESIRED = (
    """
def desired(patch, version):
    print('desired', version, sorted((name, str(value)) for name, value in patch.items()))
    if 'bad' in patch:
        raise ValueError('not that')
    if patch.get('own'):
        return {'mine': {'of': version}}
def run(device):
    device.on_desired(desired)
    device.report({'a': {'x': 1}})
    device.report({'a': {'y': 2}})"""
    + WAIT
)


def _versions(life: Life) -> list[int]:
    return [int(line.split()[1]) for line in life.lines if line.startswith("desired")]


@pytest.mark.parametrize("bits", [32, 64])
def test_desired_properties_are_dealt_with_in_order_and_acknowledged(
    make_board: MakeBoard, bits: int
) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            twin = await life.reported(lambda twin: "a" in twin)
            assert twin["a"] == {"x": 1, "y": 2}
            life.desire({"t": 21, "pump": {"__t": "c", "speed": 3}})
            twin = await life.reported(lambda twin: "t" in twin)
            assert twin["t"] == {"value": 21, "ac": 200, "av": 2, "ad": ""}
            assert twin["pump"]["speed"] == {"value": 3, "ac": 200, "av": 2, "ad": ""}
            life.desire({"bad": [1], "t": None})
            twin = await life.reported(lambda twin: "bad" in twin)
            assert twin["bad"] == {"value": [1], "ac": 500, "av": 3, "ad": "ValueError: not that"}
            assert "t" not in twin
            life.desire({"own": True})
            twin = await life.reported(lambda twin: "mine" in twin)
            assert twin["mine"] == {"of": 4}
            assert "own" not in twin
            # an old one and a present one say nothing new
            prefix = "$iothub/twin/PATCH/properties/desired/?$version="
            life.push(prefix + "3", b'{"t": 1, "$version": 3}')
            life.push(prefix + "4", b'{"t": 1, "$version": 4}')
            life.push(prefix + "9", b"[]")
            life.desire({"own": None, "t": 5})
            await life.reported(lambda twin: twin.get("t", {}).get("av") == 5)
            await life.said("desired 5")
            assert _versions(life) == [2, 3, 4, 5]
        life.desire({"t": 6})
        life.desire({"bad": None})
        async with life.on():
            await life.reported(lambda twin: twin["t"]["av"] == 7)
            await life.said("desired 7")
        assert _versions(life) == [2, 3, 4, 5, 7]

    story(make_board, DESIRED, script, bits=bits)


def test_a_missing_version_has_the_twin_read_again(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.reported(lambda twin: "a" in twin)
            life.fault("every board, when its twin is changed, gets no answer, once")
            life.desire({"t": 1})
            await life.until(lambda: life.of(Struck))
            life.desire({"u": 2})
            twin = await life.reported(lambda twin: "u" in twin)
            assert twin["t"]["av"] == twin["u"]["av"] == 3

    story(make_board, DESIRED, script)


@pytest.mark.parametrize(
    "sentence",
    [
        "every board, when it reports, gets 429, once",
        "every board, when it reports, gets ignored, once",
        "every board, when it asks for its twin, gets 500, once",
        "every board, when it asks for its twin, gets no answer, once",
    ],
)
def test_a_twin_that_does_not_answer_well_is_asked_again_later(
    make_board: MakeBoard, sentence: str
) -> None:
    async def script(life: Life) -> None:
        life.fault(sentence)
        async with life.on():
            await life.reported(lambda twin: "keystead" in twin and "a" in twin)
        assert len(life.of(Struck)) == 1
        assert len(life.of(Connected)) == 2

    app = "def run(device):\n    device.report({'a': 1})" + WAIT
    story(make_board, app, script, speed=FASTER)


def test_what_the_hub_will_not_have_is_dropped_and_told(make_board: MakeBoard) -> None:
    app = "def run(device):\n    device.on_method('report', device.report)" + WAIT

    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            await life.reported(lambda twin: "keystead" in twin)
            assert (await life.call("report", {"a.b": 1}))[0] == 200
            await life.said("twin-rejected")
            assert (await life.call("report", {"c": 1}))[0] == 200
            twin = await life.reported(lambda twin: "c" in twin)
            assert "a.b" not in twin
            assert (await life.call("report", "no object"))[0] == 500
        assert len(life.of(Connected)) == 2

    story(make_board, app, script)


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


# ---- what Keystead itself tells and does


def _model() -> tuple[dict[str, dict], dict[str, dict], dict[str, dict]]:
    """Return properties, commands and shared schemas of the component `keystead`."""
    device, management = json.loads((ROOT / "docs" / "dtdl" / "keystead-1.json").read_text())
    [component] = device["contents"]
    assert (component["name"], component["schema"]) == ("keystead", management["@id"])
    kinds = {
        kind: {one["name"]: one for one in management["contents"] if one["@type"] == kind}
        for kind in ("Property", "Command")
    }
    schemas = {one["@id"]: one for one in management["schemas"]}
    return kinds["Property"], kinds["Command"], schemas


def _conforms(value: object, schema: object, schemas: dict[str, dict]) -> bool:
    """Tell whether a value is what the model says."""
    schema = schemas.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, str):
        kinds = {"string": str, "integer": int, "dateTime": str}
        return type(value) is kinds[schema]
    if schema["@type"] == "Enum":
        return value in [one["enumValue"] for one in schema["enumValues"]]
    if schema["@type"] == "Array":
        return all(_conforms(one, schema["elementSchema"], schemas) for one in value)
    fields = {one["name"]: one["schema"] for one in schema["fields"]}
    return all(
        name in fields and _conforms(inner, fields[name], schemas) for name, inner in value.items()
    )


def test_the_device_is_what_its_model_says(make_board: MakeBoard) -> None:
    properties, commands, schemas = _model()

    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            await life.said("hub: connected")  # else it may be taken for the next one, below
            twin = await life.reported(lambda twin: "keystead" in twin)
            told = dict(twin["keystead"])
            assert told.pop("__t") == "c"
            assert {"version", "lastFailure"} <= set(told)
            for name, value in told.items():
                assert _conforms(value, properties[name]["schema"], schemas), (name, value)
            for name, command in commands.items():
                life.lines.clear()
                status, answer = await life.call("keystead*" + name, {})
                if name == "rotateKeys":  # without keys
                    assert status == 400
                    continue
                assert status in (200, 202)
                schema = command["response"]["schema"]
                assert _conforms(answer, schema, schemas), (name, answer)
                if name == "reprovision":
                    await life.said("hub: connected")
            await life.said("(the board is off)")  # the last was to restart

    # a rotation that comes the moment it connects may not find its room in 64k
    story(make_board, IDLE, script, heap="80k")


def test_the_device_names_its_model_to_both_services(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            assert (await life.call("keystead*nothing"))[0] == 404
        said = str(life.cloud.traces.documents())
        assert "&model-id=dtmi%3Acom%3Akeystead%3ADevice%3B1" in said
        assert '"payload":{"modelId":"dtmi:com:keystead:Device;1"}' in said

    story(make_board, IDLE, script)


def test_the_log_and_the_state_can_be_asked_for(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            status, answer = await life.call("keystead*log", {"lines": 2})
            assert status == 200
            assert len(answer["lines"]) == 2
            assert answer["lines"][-1].endswith("hub: connected")
            assert len((await life.call("keystead*log", {"lines": -1}))[1]["lines"]) > 2
            status, answer = await life.call("keystead*status")
            assert (status, answer["hub"], answer["provisionings"]) == (200, HUB, 1)
            assert answer["freeHeap"] > 0

    story(make_board, IDLE, script)


def test_dps_is_asked_again_when_a_method_says_so(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            assert (await life.call("keystead*reprovision"))[0] == 202
            await life.said("hub: connected", 2)
            assert len(life.of(Assigned)) == 2
            assert (await life.call("keystead*status"))[1]["provisionings"] == 2
        assert not any("FAILURE" in line for line in life.lines)

    story(make_board, IDLE, script)


def test_dps_is_asked_once_for_each_new_value_of_a_desired_property(
    make_board: MakeBoard,
) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            life.desire({"keystead": {"__t": "c", "reprovision": "monday"}})
            twin = await life.reported(lambda twin: "reprovision" in twin.get("keystead", ()))
            told = {"value": "monday", "ac": 200, "av": 2, "ad": ""}
            assert twin["keystead"]["reprovision"] == told
            await life.said("hub: connected", 2)
            life.desire({"keystead": {"__t": "c", "reprovision": 5}})
            await life.reported(lambda twin: twin["keystead"]["reprovision"]["ac"] == 400)
            life.desire({"keystead": {"__t": "c", "reprovision": "monday"}})
            await life.reported(lambda twin: twin["keystead"]["reprovision"]["av"] == 4)
        assert len(life.of(Assigned)) == 2
        async with life.on():  # after a restart the twin says it again
            await life.said("hub: connected", 3)
            assert (await life.call("keystead*status"))[1]["provisionings"] == 0
        assert len(life.of(Assigned)) == 2

    story(make_board, IDLE, script)


def test_a_new_key_is_tried_and_kept_and_can_not_be_read_back(make_board: MakeBoard) -> None:
    first, second = bytes(range(100, 132)), bytes(range(132, 164))
    texts = [base64.b64encode(key).decode() for key in (first, second)]

    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            for wrong in (None, 5, "", "AAAA", texts[0] + "!", texts[0][:-3], [texts[0]]):
                status, answer = await life.call("keystead*rotateKeys", {"primaryKey": wrong})
                assert (status, list(answer)) == (400, ["error"]), wrong
            life.hub.update(NAME, time.time(), keys=KeyPair(DEVICE_KEY, first))
            keys = dict(zip(("primaryKey", "secondaryKey"), texts, strict=True))
            status, answer = await life.call("keystead*rotateKeys", keys)
            assert (status, answer["status"]) == (202, "trying")
            assert answer["fingerprint"] == hashlib.sha256(first).hexdigest()[:8]
            await life.reported(lambda twin: twin.get("keystead", {}).get("keys") == "active")
            life.hub.update(NAME, time.time(), keys=KeyPair(second, first))
            answers = [await life.call(f"keystead*{name}") for name in ("status", "log")]
        async with life.on():
            await life.said("hub: connected", 3)
        said = "\n".join([*life.lines, *map(str, life.events), str(answers), str(life.twin())])
        for text in (*texts, base64.b64encode(DEVICE_KEY).decode()):
            assert text[:12] not in said
        assert len(life.of(Assigned)) == 1

    story(make_board, IDLE, script)


def test_a_method_restarts_the_board(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("ready")
            assert await life.call("keystead*restart") == (202, {"status": "restarting"})
            await life.said("(the board is off)")

    story(make_board, IDLE, script)
