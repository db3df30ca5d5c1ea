"""What Keystead itself tells of a board and does on it: the component `keystead`."""

import base64
import hashlib
import json
import time
from pathlib import Path

from host_tools.emulator.events import Assigned
from host_tools.emulator.key_pair import KeyPair
from tests.emulator.board_bench import IDLE, Life, story
from tests.emulator.cloud_fixtures import HUB
from tests.emulator.conftest import DEVICE_KEY, NAME, MakeBoard

ROOT = Path(__file__).parents[2]


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

    story(make_board, IDLE, script)


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
