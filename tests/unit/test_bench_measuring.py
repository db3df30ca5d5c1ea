"""How the bench reads, places and adds up what it measures; no figure is asserted."""

import asyncio
from pathlib import Path

import pytest

from bench import boot, sizes, wire
from bench.figures import Unmeasured
from bench.heap import least, unfounded
from bench.server import reply
from bench.workshop import ON_BOARD, answer
from host_tools.emulator.events import Telemetry
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.packets import Publish
from host_tools.errors import CommandError
from keystead import hub

HUB = "test-docs-hub.azure-devices.net"


def test_a_script_answers_in_its_last_line():
    assert answer('noise\n{"us": [1, 2]}\n\n') == {"us": [1, 2]}


@pytest.mark.parametrize("output", ["", "MemoryError: \n", "[1, 2]\n"])
def test_a_script_that_does_not_answer_is_an_error(output):
    with pytest.raises(CommandError):
        answer(output)


@pytest.mark.parametrize("enough", [1, 2, 37, 64])
def test_the_least_heap_is_found(enough):
    assert least(lambda kib: kib >= enough, 64) == enough


def test_no_heap_may_be_enough():
    with pytest.raises(Unmeasured):
        least(lambda kib: False, 64)


def test_a_baseline_must_hold_all_that_is_not_keysteads():
    ours = {"rim.mqtt"}
    assert unfounded({"rim.mqtt", "umqtt.simple"}, ours, {"umqtt.simple"}) == []
    assert unfounded({"rim.mqtt", "umqtt.simple"}, ours, {"app"}) == ["umqtt.simple"]


def test_what_the_bare_board_imports_can_not_be_tidied_away():
    # a linter once dropped its imports as unused, and the heap figure grew by 12 KB
    assert '"umqtt.simple"' in (ON_BOARD / "bare.py").read_text()
    assert "__import__" in (ON_BOARD / "bare.py").read_text()


@pytest.mark.parametrize(
    ("path", "name"),
    [("rim/mqtt.mpy", "rim.mqtt"), ("keystead/__init__.mpy", "keystead")],
)
def test_a_compiled_file_has_its_modules_name(path, name):
    assert sizes.name(Path(path)) == name


def test_the_connect_on_the_wire_is_as_long_as_the_anchors():
    password = wire.token().encode()
    user = hub.username(HUB, wire.DEVICE)
    assert len(Connect(wire.DEVICE, user, password).encode()) == wire.CONNECT


def test_the_server_acknowledges_the_message_it_was_sent():
    packet = Publish("a/b", b"hello", 1, 0x1234).encode()
    assert reply(packet[0], packet[2:]) == b"\x40\x02\x12\x34"
    quiet = Publish("a/b", b"hello").encode()
    assert reply(quiet[0], quiet[2:]) == b""


@pytest.mark.parametrize(
    ("said", "good"),
    [
        (["[0.0] booting", Telemetry(0.0, HUB, "dev", b"{}", "")], True),
        (["[0.0] FAILURE 12 out-of-memory", Telemetry(0.0, HUB, "dev", b"{}", "")], False),
        (["MemoryError", None], False),
    ],
)
def test_a_boot_counts_when_the_hub_has_telemetry_and_nothing_failed(said, good):
    async def story():
        heard = asyncio.Queue()
        for what in said:
            heard.put_nowait(what)
        return await boot.succeeds(heard)

    assert asyncio.run(story()) is good
