"""How a board finds its hub in the course of years: cached, moved, refused, throttled, away."""

import asyncio
from itertools import pairwise

import pytest
import trustme

from host_tools.emulator.config import ID_SCOPE
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.events import Assigned, Connected
from host_tools.emulator.key_pair import KeyPair
from host_tools.keys import derive_device_key
from keystead.record import FactoryRecord
from tests.emulator.scripted import der
from tests.emulator.simulated import (
    DAY,
    FIRST,
    HOUR,
    MAC,
    MINUTE,
    NAME,
    SECOND,
    Life,
    play,
)

# ---- the cached assignment


@pytest.mark.parametrize("bits", [32, 64])
def test_a_warm_boot_asks_dps_nothing(bits: int) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        assert life.dps_calls == 1
        for seconds in (1, DAY):
            await life.cycle(seconds)
            await life.connected(within=MINUTE)
        status, told = await life.call("keystead*status")
        assert (status, told["savedDpsCalls"], told["provisionings"]) == (200, 1, 0)
        assert life.dps_calls == 1
        assert life.failures() == []

    play(script, bits=bits)


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "another name's"])
def test_a_damaged_cache_is_not_relied_on(damage: str) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.power(False)
        cache = life.in_nvs("hub0.blob")
        whole = cache.read_bytes()
        damaged = {
            "torn": whole[:-1],
            "flipped": whole[:20] + bytes([whole[20] ^ 1]) + whole[21:],
            "empty": b"",
            "another name's": life.in_nvs("clock0.blob").read_bytes(),
        }
        cache.write_bytes(damaged[damage])
        for _ in range(2):  # asked once: it is whole again then
            await life.cycle()
            await life.connected(within=MINUTE)
        assert life.dps_calls == 2
        assert life.failures() == []

    play(script)


def test_a_new_factory_record_makes_the_cache_void() -> None:
    name = "sn-008-999-def"

    async def script(life: Life) -> None:
        await life.connected()
        life.power(False)
        record = FactoryRecord(MAC, ID_SCOPE, name, derive_device_key(life.keys[0], name))
        life.board.unix.write_nvs("record", record.pack())
        life.power(True)
        await life.connected(within=MINUTE)
        assert [event.device_id for event in life.of(Assigned)] == [NAME, name]
        assert life.of(Connected)[-1].device_id == name
        assert life.failures() == []

    play(script)


def test_boards_that_start_together_for_the_first_time_part_by_their_names() -> None:
    async def script(life: Life) -> None:
        line = await life.said("first boot: ")
        wait = int(line.split("boot: ")[1].split()[0])
        assert 60 < wait < 3600
        await life.said("registering")
        assert wait <= life.times[-1] < wait + 2
        life.power(False)
        await life.cycle()  # it was not assigned yet: its place is the same
        assert await life.said("first boot: ", 2)
        await life.connected()
        assert life.count(f"first boot: {wait} s") == 2
        await life.cycle()
        await life.connected(within=1)  # whoever knows its hub does not wait

    play(script, config={"spread": 3600})


# ---- a hub that refuses


def test_a_deleted_identity_is_made_again_by_dps() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.home.delete(NAME, life.now)
        await life.connected(within=10 * MINUTE)
        assert life.dps_calls == 2
        assert life.failures() == ["36 connection-lost", "81 hub-refused"]

    play(script)


def test_a_device_that_was_given_to_another_hub_finds_it() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.set_group(hubs=(SECOND,))
        life.home.delete(NAME, life.now)
        await life.connected(within=10 * MINUTE)
        await life.cycle()
        await life.connected(within=MINUTE)  # from now on without asking
        assert life.hubs_joined == [FIRST, SECOND, SECOND]
        assert life.dps_calls == 2

    play(script)


def test_an_operator_moves_a_device_and_its_twin_comes_along() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        await life.reported(lambda told: told)
        patch = {"properties": {"desired": {"t": 5}}}
        life.home.patch_twin(NAME, patch, life.now)
        life.set_group(hubs=(SECOND,))
        assert (await life.call("keystead*reprovision"))[0] == 202
        await life.connected(within=MINUTE)
        assert life.hubs_joined == [FIRST, SECOND]
        assert life.of(Assigned)[-1].substatus == "deviceDataMigrated"
        assert life.home.twin(NAME).desired["t"] == 5
        assert life.failures() == []

    play(script)


def test_a_disabled_identity_is_asked_for_ever_more_seldom_and_comes_back_by_itself() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.home.update(NAME, life.now, enabled=False)
        await life.until(lambda: max(life.waits(), default=0) > 15 * MINUTE, DAY)
        asked = life.dps_calls
        assert asked < 20
        life.home.update(NAME, life.now, enabled=True)
        await life.connected(within=4 * HOUR + MINUTE)
        assert life.dps_calls == asked + 1

    play(script)


# ---- a DPS that refuses


def test_a_deprovisioned_device_slows_down_to_hours_and_comes_back_by_itself() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.set_group(enabled=False)
        life.home.update(NAME, life.now, enabled=False)
        await life.until(lambda: max(life.waits(), default=0) > HOUR, DAY)
        assert max(life.waits()) <= 4 * HOUR
        assert len(life.waits()) < 30
        assert not life.count("Traceback")
        life.set_group(enabled=True)
        life.home.update(NAME, life.now, enabled=True)
        await life.connected(within=4 * HOUR + MINUTE)

    play(script)


def test_an_enrollment_that_is_deleted_and_made_again_is_found_again() -> None:
    async def script(life: Life) -> None:
        group = life.cloud.dps.group(life.group)
        await life.connected()
        life.cloud.dps.delete_group(life.group)
        life.home.delete(NAME, life.now)
        await life.said("next attempt", 6, within=DAY)
        keys = KeyPair(*life.keys[:2])
        again = EnrollmentGroup("made-again", hub=SECOND, keys=keys)
        assert again.keys == group.keys
        life.cloud.dps.put_group(again, life.now)
        await life.connected(within=4 * HOUR + MINUTE)
        assert life.hubs_joined == [FIRST, SECOND]

    play(script)


# ---- services that can not now


@pytest.mark.parametrize(("answer", "least"), [("429, retry after 120 s", 120), ("500", 5)])
def test_a_storm_at_dps_is_weathered_at_the_pace_it_asks_for(answer: str, least: int) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        rule = life.rule(f"every board, when it registers, gets {answer}")
        life.home.delete(NAME, life.now)
        await asyncio.sleep(10 * MINUTE)
        struck = [event.time for event in life.struck()]
        assert min(after - before for before, after in pairwise(struck)) >= least
        assert len(struck) < 40
        life.cloud.faults.remove(rule)
        await life.connected(within=10 * MINUTE)

    play(script)


def test_a_hub_that_can_not_now_is_not_left_for_another() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        rule = life.rule("every board, when it connects to its hub, gets CONNACK 3")
        life.drop()
        await asyncio.sleep(10 * MINUTE)
        life.cloud.faults.remove(rule)
        await life.connected(within=10 * MINUTE)
        assert life.dps_calls == 1
        assert min(life.waits()[1:-1]) >= 5, life.told()

    play(script)


@pytest.mark.parametrize("silence", [15 * MINUTE, 40 * MINUTE])
def test_only_a_hub_that_is_silent_for_long_sends_a_board_to_dps(silence: int) -> None:
    async def script(life: Life) -> None:
        await life.connected()
        rule = life.rule("every board, when it connects to its hub, gets no answer")
        life.drop()
        lost = life.now
        await asyncio.sleep(silence)
        asked = [event for event in life.of(Connected) if event.service == "DPS"][1:]
        assert bool(asked) == (silence > 20 * MINUTE)
        if asked:
            assert 20 * MINUTE <= asked[0].time - lost < 30 * MINUTE
            assert len(asked) == 1
        life.cloud.faults.remove(rule)
        await life.connected(within=10 * MINUTE)

    play(script)


def test_a_network_that_is_away_for_an_hour_costs_no_question() -> None:
    async def script(life: Life) -> None:
        await life.connected()
        life.radio(False)
        await asyncio.sleep(HOUR)
        life.radio(True)
        await life.connected(within=10 * MINUTE)
        assert max(life.waits()) <= 300
        assert life.dps_calls <= 2

    play(script)


# ---- whom a board trusts


def test_each_server_is_called_by_its_name() -> None:
    async def script(life: Life) -> None:
        life.rule(f"every board, when it shakes hands with {FIRST}, gets an expired certificate")
        await life.said("next attempt")
        life.cloud.faults.clear()
        await life.connected()
        assert life.failures() == ["53 tls-expired"]
        assert life.dps_calls == 1  # whom it calls by another name

    play(script)


def test_a_root_that_is_put_beside_the_old_one_is_trusted() -> None:
    async def script(life: Life) -> None:
        certs = life.board.unix.flash / "certs"
        [root] = certs.glob("*.der")
        new = root.read_bytes()
        root.write_bytes(der(trustme.CA()))
        await life.said("FAILURE 51 tls-untrusted")
        (certs / "new.der").write_bytes(new)
        await life.connected()

    play(script)
