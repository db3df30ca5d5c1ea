"""Device keys and the tokens they sign: which is tried when, and that none is ever seen again."""

import asyncio
import base64
from contextlib import suppress
from itertools import pairwise
from urllib.parse import quote

import pytest

from host_tools.emulator.access import Reason
from host_tools.emulator.events import Assigned, Disconnected, Refused, Telemetry
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.trace.entry import RECEIVED
from host_tools.emulator.trace.line import Line
from tests.emulator.simulated import (
    HOUR,
    MINUTE,
    NAME,
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
        assert len(life.of(Assigned)) == 2

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
        # its enrollment has the old pair still, and gives that to the hub again
        assert life.failures()[2:] == ["62 dps-unauthorized"] * 2
        assert life.home.device(NAME).keys.primary == life.device_key(0)

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


@pytest.mark.parametrize(
    ("answer", "heard"), [("a dropped socket", 0), ("a closed connection", 0), ("no answer", 4)]
)
def test_a_pair_that_gets_no_word_is_given_up_as_well(answer: str, heard: int) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.rule(f"every board, when it connects to its hub, gets {answer}, 4 times")
        assert (await life.call("keystead*rotateKeys", pair(*WRONG)))[0] == 202
        await life.reported(lambda told: told.get("keys") == "refused", 15 * MINUTE)
        assert len(life.of(Refused)) == heard

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


@pytest.mark.parametrize("part", ["radio", "uplink"])
def test_a_network_that_is_away_does_not_end_the_trial_of_a_good_pair(part: str) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.set_keys(life.device_key(0), NEW)
        assert (await life.call("keystead*rotateKeys", pair(NEW, NEXT)))[0] == 202
        getattr(life, part)(False)
        await asyncio.sleep(10 * MINUTE)
        getattr(life, part)(True)
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
            with suppress(AssertionError):  # its power may fail before it answers
                await life.call("keystead*rotateKeys", new)
            await asyncio.sleep(20 * MINUTE)
            cuts += life.count("(the board stopped") - stops
            assert life.home.connections.attendance.line(NAME), life.told()
            # and again from the beginning, with the keys of the factory
            life.power(False)
            for slot in "01":
                life.in_nvs(f"keys{slot}.blob").unlink(missing_ok=True)
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
        traced: list[Line] = []
        life.cloud.traces.on = True
        life.cloud.traces.follow(traced.append)
        await life.connected()
        life.set_keys(life.device_key(0), NEW)
        said: list[object] = [await life.call("keystead*rotateKeys", pair(NEW, NEXT))]
        await life.reported(lambda told: told.get("keys") == "active", MINUTE)
        said.append(await life.call("keystead*rotateKeys", pair(NEW[:15], NEXT) | {"x": 1}))
        said.append(await life.call("keystead*rotateKeys", {"primaryKey": text(NEW) + "!"}))
        said.append(await life.call("keystead*rotateKeys", pair(*WRONG)))
        await life.reported(lambda told: told.get("keys") == "refused", HOUR)
        for name in ("keystead*status", "keystead*nothing", "facts", "self"):
            said.append(await life.call(name))
        said.append(await life.call("keystead*log", {"lines": 1000}))
        said.append(life.home.twin_document(NAME))
        said += [event.body for event in life.of(Telemetry)]
        packets = [line.entry for line in traced if line.entry.way == RECEIVED]
        # of CONNECT, which has a token, the trace keeps no body
        bodies = [packet.data for packet in packets if isinstance(packet.data, bytes)]
        assert len(bodies) > 40
        said += bodies
        rtc = (life.board.unix.folder / "rtc").read_bytes()
        everything = "\n".join([*life.lines, *map(str, said), str(rtc)])
        assert "'handlers'" in everything
        keys = [NEW, NEXT, *WRONG, life.device_key(0), life.device_key(1)]
        for key in keys:
            for spelled in (text(key), quote(text(key), safe=""), key.hex(), repr(key)[2:-1]):
                assert spelled[:12] not in everything
        assert "sig=" not in everything
        assert "SharedAccess" not in everything

    play(script, app)


# ---- tokens

SENDER = (
    "def run(device):\n"
    "    number = 0\n"
    "    while True:\n"
    "        number += 1\n"
    "        device.send(str(number))\n"
    "        device.wait(30)\n"
)


class Greetings:
    """The tokens of all CONNECTs to a hub: when they came, and when they expire."""

    def __init__(self, life: Life) -> None:
        self.seen: list[tuple[float, int]] = []
        self._life = life
        life.cloud.traces.on = True
        life.cloud.traces.follow(self._take)

    def _take(self, line: Line) -> None:
        document = line.document()
        if document["packet"] == "CONNECT" and line.service != "DPS":
            expires = int(document["facts"]["token"]["se"])
            self.seen.append((line.entry.time, expires))

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.seen]


def test_a_token_is_renewed_before_it_expires_by_a_planned_reconnect() -> None:
    async def script(life: Life) -> None:
        greetings = Greetings(life)
        await asyncio.sleep(2.6 * HOUR)
        times = greetings.times
        lives = [after - before for before, after in pairwise(times)]
        assert len(lives) == 3
        # 0.8 of an hour, and sooner by up to three minutes, that boards of one hour may part
        assert all(2700 <= life <= 2890 for life in lives), lives
        assert len({round(life) for life in lives}) == 3
        # each CONNECT has a fresh token
        assert all(abs(expires - time - 3600) < 2 for time, expires in greetings.seen)
        # nothing is lost, nor twice, nor in another order
        numbers = [int(event.body) for event in life.of(Telemetry)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 300
        farewells = [event.why for event in life.of(Disconnected)]
        assert farewells == ["it said goodbye"] * 4  # to DPS as well
        assert life.failures() == []
        assert life.dps_calls == 1

    play(script, SENDER)


def test_a_line_that_breaks_is_joined_again_with_a_fresh_token() -> None:
    async def script(life: Life) -> None:
        greetings = Greetings(life)
        await life.connected()
        await asyncio.sleep(20 * MINUTE)
        life.drop()
        await life.connected(within=MINUTE)
        assert len(greetings.seen) == 2
        assert all(abs(expires - time - 3600) < 2 for time, expires in greetings.seen)

    play(script)


@pytest.mark.parametrize("hours", [-400 * 24, -5, 5, 400 * 24])
def test_a_clock_that_is_set_off_by_hours_is_put_right_and_a_new_token_signed(hours: int) -> None:
    async def script(life: Life) -> None:
        greetings = Greetings(life)
        await life.connected()
        await asyncio.sleep(10 * MINUTE)
        life.set_clock_off(hours * HOUR)
        await life.connected(within=MINUTE)
        await asyncio.sleep(10 * MINUTE)
        assert all(abs(expires - time - 3600) < 2 for time, expires in greetings.seen)
        assert len(greetings.seen) == 2
        assert life.failures() == []
        numbers = [int(event.body) for event in life.of(Telemetry)]
        assert numbers == list(range(1, len(numbers) + 1))

    play(script, SENDER)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_wrong_when_the_line_breaks_does_not_keep_the_board_away(
    hours: int,
) -> None:
    async def script(life: Life) -> None:
        greetings = Greetings(life)
        await life.connected()
        life.radio(False)
        await life.said("next attempt", 2)
        life.set_clock_off(hours * HOUR)
        await asyncio.sleep(MINUTE)
        life.radio(True)
        await life.connected(within=10 * MINUTE)
        await asyncio.sleep(10 * MINUTE)
        time, expires = greetings.seen[-1]
        assert abs(expires - time - 3600) < 2
        assert not life.count("Traceback")

    play(script)


def test_a_service_that_ends_a_token_early_costs_a_reconnect_and_no_message() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.rule("every board, when it sends telemetry, gets an expired token, once")
        await asyncio.sleep(10 * MINUTE)
        numbers = {int(event.body) for event in life.of(Telemetry)}
        assert numbers == set(range(1, len(numbers) + 1))
        assert len(life.hubs_joined) == 2
        assert life.dps_calls == 1

    play(script, SENDER)
