"""The real firmware and its twin: desired properties, reported ones, what goes wrong."""

import pytest

from host_tools.emulator.events import Connected
from host_tools.emulator.faults.faults import Struck
from tests.emulator import simulated
from tests.emulator.board_bench import WAIT, Life, story
from tests.emulator.conftest import MakeBoard

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
def test_a_twin_that_does_not_answer_well_is_asked_again_later(sentence: str) -> None:
    def reported(life: simulated.Life) -> set[str]:
        hub = life.hub()
        return set(hub.twin(simulated.NAME).reported) if hub else set()

    async def script(life: simulated.Life) -> None:
        life.rule(sentence)
        await life.until(lambda: {"keystead", "a"} <= reported(life))
        assert len(life.struck()) == 1
        assert len(life.of(Connected)) == 2

    app = "def run(device):\n    device.report({'a': 1})" + WAIT
    simulated.play(script, app)


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
