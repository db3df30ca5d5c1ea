"""Device keys and the tokens they sign: which is tried when, and that none is ever seen again."""

import asyncio
import base64
import json
import re
from urllib.parse import quote

import pytest

from host_tools.emulator.access import Reason
from host_tools.emulator.events import Disconnected, Refused, Telemetry
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.trace.entries import Entry
from keystead.record import FactoryRecord
from tests.emulator.simulated import (
    DAY,
    HOUR,
    IDLE,
    MAC,
    MINUTE,
    NAME,
    SCOPE,
    WAIT,
    Life,
    play,
)

NEW, NEXT = bytes(range(100, 132)), bytes(range(132, 164))
WRONG = b"w" * 32, b"v" * 32


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def pair(primary: bytes, secondary: bytes) -> dict[str, str]:
    """Return what rotateKeys takes."""
    return {"primaryKey": text(primary), "secondaryKey": text(secondary)}


def revoke_primary(life: Life) -> None:
    """Put another group key in the place of the primary one; the identity follows."""
    keys = KeyPair(life.keys[2], life.keys[1])
    life.set_group(keys=keys)
    if life.hub():
        life.set_keys(*keys.derived_for(NAME))


# ---- primary and secondary


def test_a_refused_primary_key_is_followed_by_the_secondary_at_the_next_boot_at_once() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        revoke_primary(life)
        life.drop()
        await life.connected(within=MINUTE)
        refused = [event.reason for event in life.of(Refused)]
        assert refused == [Reason.WRONG_KEY] * 2  # by the hub, and then by DPS
        await life.cycle()
        await life.connected(within=MINUTE)
        assert len(life.of(Refused)) == 2
        assert life.dps_calls == 2

    play(script)


def test_a_new_board_whose_primary_key_is_refused_comes_in_with_the_secondary() -> None:
    async def script(life: Life) -> None:
        revoke_primary(life)
        await life.connected(within=MINUTE)
        await life.cycle()
        await life.connected(within=MINUTE)
        assert len(life.of(Refused)) == 1

    play(script)


def test_a_secondary_key_that_is_refused_leads_back_to_the_primary() -> None:
    async def script(life: Life) -> None:
        revoke_primary(life)
        await life.connected()
        life.set_group(keys=KeyPair(life.keys[0], life.keys[3]))
        life.set_keys(life.device_key(0), life.device_key(3))
        life.drop()
        await life.connected(within=MINUTE)

    play(script)


def test_both_keys_refused_and_restored_have_the_board_back_by_itself() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        good = life.cloud.dps.group(life.group).keys
        life.set_group(keys=KeyPair(*life.keys[2:]))
        life.set_keys(*WRONG)
        life.drop()
        await asyncio.sleep(HOUR)
        assert len(life.of(Refused)) < 20
        life.set_group(keys=good)
        await life.connected(within=2 * HOUR)

    play(script)


# ---- rotation


@pytest.mark.parametrize("bits", [32, 64])
def test_a_rotated_pair_outlives_the_old_one(bits: int) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.set_keys(life.device_key(0), NEW)
        status, answer = await life.call("keystead*rotateKeys", pair(NEW, NEXT))
        assert (status, answer["status"]) == (202, "trying")
        await life.connected(within=MINUTE)
        await life.reported(lambda told: told.get("keys") == "active", MINUTE)
        life.set_keys(NEXT, NEW)  # nothing is left of the old one
        await life.cycle()
        await life.connected(within=MINUTE)
        life.set_keys(NEXT, WRONG[0])
        life.drop()
        await life.connected(within=5 * MINUTE)
        assert life.failures() == ["36 connection-lost", "81 hub-refused", "62 dps-unauthorized"]

    play(script, bits=bits)


def test_keys_that_are_rotated_at_the_enrollment_reach_the_hub_by_dps() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.set_group(keys=KeyPair(*life.keys[2:]))
        new = [life.device_key(number) for number in (2, 3)]
        assert (await life.call("keystead*rotateKeys", pair(new[0], new[1])))[0] == 202
        await life.reported(lambda told: told.get("keys") == "active", 10 * MINUTE)
        assert life.home.device(NAME).keys == KeyPair(*new)
        life.home.delete(NAME, life.now)
        await life.connected(within=10 * MINUTE)

    play(script)


def test_a_pair_that_the_service_does_not_take_is_given_up_and_told() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        assert (await life.call("keystead*rotateKeys", pair(*WRONG)))[0] == 202
        await life.reported(lambda told: told.get("keys") == "refused", 15 * MINUTE)
        refused = len(life.of(Refused))
        await life.cycle()
        await life.connected(within=MINUTE)
        assert len(life.of(Refused)) == refused == 4

    play(script)


@pytest.mark.parametrize("answer", ["a dropped socket", "a closed connection", "no answer"])
def test_a_pair_that_gets_no_word_is_given_up_as_well(answer: str) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.rule(f"every board, when it connects to its hub, gets {answer}, 4 times")
        assert (await life.call("keystead*rotateKeys", pair(*WRONG)))[0] == 202
        await life.reported(lambda told: told.get("keys") == "refused", 15 * MINUTE)
        assert life.of(Refused) == []

    play(script)


def test_a_storm_does_not_end_the_trial_of_a_good_pair() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.set_keys(life.device_key(0), NEW)
        rule = life.rule("every board, when it connects to its hub, gets CONNACK 3")
        assert (await life.call("keystead*rotateKeys", pair(NEW, NEXT)))[0] == 202
        await asyncio.sleep(10 * MINUTE)
        life.cloud.faults.remove(rule)
        await life.reported(lambda told: told.get("keys") == "active", 10 * MINUTE)

    play(script)


def test_a_network_that_is_away_does_not_end_the_trial_of_a_good_pair() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.set_keys(life.device_key(0), NEW)
        assert (await life.call("keystead*rotateKeys", pair(NEW, NEXT)))[0] == 202
        life.radio(False)
        await asyncio.sleep(10 * MINUTE)
        life.radio(True)
        await life.reported(lambda told: told.get("keys") == "active", 10 * MINUTE)

    play(script)


def test_a_pair_that_is_in_place_already_is_said_to_be_so_at_once() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        old = pair(life.device_key(0), life.device_key(1))
        status, answer = await life.call("keystead*rotateKeys", old)
        assert (status, answer["status"]) == (200, "active")
        await asyncio.sleep(MINUTE)
        assert life.count("hub: connected") == 1

    play(script)


@pytest.mark.parametrize("taken", [True, False])
def test_power_may_fail_at_each_write_of_a_rotation(taken: bool) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        await life.cycle()
        await life.connected()
        cuts = 0
        for cut in (1, -1, 2, -2, 3, -3, 4, -4):
            life.set_keys(life.device_key(0), NEW if taken else WRONG[1])
            await life.cycle(cut=cut)
            await life.connected(within=HOUR)
            new = pair(NEW, NEXT) if taken else pair(*WRONG[:1], b"u" * 32)
            stops = life.count("(the board stopped")
            try:
                await life.call("keystead*rotateKeys", new)
            except AssertionError:  # its power failed as it kept them
                pass
            await asyncio.sleep(20 * MINUTE)
            cuts += life.count("(the board stopped") - stops
            assert life.home.connections.attendance.line(NAME), life.told()
            # and again from the beginning, with the keys of the factory
            life.power(False)
            for slot in "01":
                life.nvs(f"keys{slot}.blob").unlink(missing_ok=True)
        print(cuts)
        assert cuts >= 4

    play(script)


# ---- no key is ever seen again


def test_no_key_is_in_anything_that_a_board_says() -> None:
    app = (
        "def run(device):\n"
        "    device.on_method('facts', lambda payload: device.facts())\n"
        "    device.on_method('self', lambda payload: repr(vars(device)"
        " if hasattr(device, 'vars') else device.__dict__))\n"
        "    device.send({'facts': device.facts()})" + WAIT
    )

    async def script(life: Life) -> None:
        entries: list[Entry] = []
        life.cloud.traces.follow(entries.append)
        await life.connected()
        life.set_keys(life.device_key(0), NEW)
        said: list[object] = [await life.call("keystead*rotateKeys", pair(NEW, NEXT))]
        await life.reported(lambda told: told.get("keys") == "active", MINUTE)
        said.append(await life.call("keystead*rotateKeys", pair(NEW[:-1], NEXT) | {"x": 1}))
        said.append(await life.call("keystead*rotateKeys", {"primaryKey": text(NEW) + "!"}))
        said.append(await life.call("keystead*rotateKeys", pair(*WRONG)))
        await life.reported(lambda told: told.get("keys") == "refused", HOUR)
        for name in ("status", "reprovision", "nothing"):
            said.append(await life.call(f"keystead*{name}"))
        await life.connected()
        for name in ("keystead*status", "facts", "self"):
            said.append(await life.call(name))
        said.append(await life.call("keystead*log", {"lines": 1000}))
        said.append(life.home.twin_document(NAME))
        said += [event.body for event in life.of(Telemetry)]
        said += [entry.body for entry in entries if hasattr(entry, "body")]
        rtc = (life.board.unix.folder / "rtc").read_bytes()
        everything = "\n".join([*life.lines, *map(str, said), str(rtc)])
        assert "refused" in everything
        keys = [NEW, NEXT, *WRONG, life.device_key(0), life.device_key(1)]
        for key in keys:
            for spelled in (text(key), quote(text(key), safe=""), key.hex(), repr(key)[2:-1]):
                assert spelled[:12] not in everything
        assert "sig=" not in everything
        assert "SharedAccess" not in everything

    play(script, app)
