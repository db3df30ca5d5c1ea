"""The steps of flashing, upon a modelled board and a real ledger: order, refusals, traces."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import keystead
from host_tools import keys, nvs
from host_tools.batch import Unit
from host_tools.device_keys import DeviceKeys
from host_tools.errors import CommandError
from host_tools.flash import check
from host_tools.flash.chip import Chip
from host_tools.flash.console import Boot, Registration
from host_tools.flash.failure import REMEDIES, FlashFailure
from host_tools.flash.load import Load, around, cut, joined, used
from host_tools.flash.proof import Challenge, nonce
from host_tools.flash.worker import read_back
from host_tools.images import parts
from host_tools.images.parts import Part
from host_tools.key_sources import HeldKey
from host_tools.ledger import DiskFull, ForeignBoard, Identity, Ledger, Scrapped, open_ledger
from host_tools.ledger.rules import STEPS
from keystead import proof
from keystead.record import FactoryRecord
from tests.factory import model_line
from tests.factory.model_line import (
    BATCH,
    GROUP_KEY,
    LAYOUT,
    LOADS,
    UNITS,
    Fuse,
    ModelBoard,
    ModelPort,
    line,
    mac,
    order,
)

MAC = mac(1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(str(tmp_path / "ledger.db"), station="line-1", create=True) as book:
        book.create_batch(BATCH, UNITS)
        yield book


def port(**facts: Any) -> ModelPort:
    return ModelPort(ModelBoard(facts.pop("mac", MAC), **facts), Fuse())


def kinds(ledger: Ledger, name: str) -> list[str]:
    return [event.kind for event in ledger.events(name)]


def refused(step: Any) -> FlashFailure:
    with pytest.raises(FlashFailure) as caught:
        step()
    return caught.value


# ---- all goes well


def test_a_blank_board_becomes_a_good_one(ledger: Ledger) -> None:
    bench = port()
    made = line(bench, ledger).flash()
    found = ledger.identity(made.registration_id)
    key = keys.derive_device_key(GROUP_KEY, made.registration_id)
    assert found.state == "good"
    assert found.fingerprint == keys.fingerprint(key)
    assert bench.board.record().keys()[0] == key
    assert bench.board.files() == LOADS[0].files
    assert kinds(ledger, found.registration_id) == [
        "reserved", "flashing", "flashed", "verified", "booted", "proven", "good"
    ]  # fmt: skip


def test_the_ledger_is_told_times_bytes_and_versions(ledger: Ledger) -> None:
    name = line(port(), ledger).flash().registration_id
    facts = {event.kind: event.facts for event in ledger.events(name)}
    assert facts["flashing"]["micropython"] == "v1.26.1"
    assert facts["flashing"]["keystead"] == keystead.__version__
    assert facts["flashing"]["port"] == "rfc2217://127.0.0.1:4001"
    assert set(facts["good"]["seconds"]) == {
        "connect",
        "reserve",
        "write",
        "verify",
        "boot",
        "prove",
    }
    assert facts["good"]["line"] == {"sent": 0, "received": 0}
    assert facts["flashed"]["bytes"] > 0


def test_no_key_is_in_the_ledger(ledger: Ledger) -> None:
    name = line(port(), ledger).flash().registration_id
    key = keys.derive_device_key(GROUP_KEY, name)
    told = json.dumps([dict(event.facts) for event in ledger.events()])
    for secret in (key.hex(), keys.encode_key(key), GROUP_KEY.hex(), keys.encode_key(GROUP_KEY)):
        assert secret not in told


def test_a_second_run_writes_only_what_changed(ledger: Ledger) -> None:
    bench = port()
    first = line(bench, ledger).flash()
    again = line(bench, ledger).flash()
    # the firmware has written into NVS since, and nowhere else
    assert bench.written == [LAYOUT.nvs.offset]
    assert again.registration_id == first.registration_id
    assert ledger.identity(first.registration_id).state == "good"


def test_the_secret_part_goes_last_and_nothing_else_touches_its_place(ledger: Ledger) -> None:
    bench = port()
    line(bench, ledger).flash()
    assert bench.written[-1] == LAYOUT.nvs.offset
    assert bench.written.count(LAYOUT.nvs.offset) == 1
    for piece in LOADS[0].pieces():
        assert piece.end <= LAYOUT.nvs.offset or piece.offset >= LAYOUT.nvs.end


def test_a_slow_line_is_tried_after_a_fast_one_failed(ledger: Ledger) -> None:
    bench = port()
    lost = iter([FlashFailure("write-failed", "noise")])

    def noisy(pieces: Any) -> int:
        for failure in lost:
            raise failure
        return ModelPort.write(bench, pieces)

    bench.write = noisy  # type: ignore[method-assign]
    name = line(bench, ledger).flash().registration_id
    flashed = next(e for e in ledger.events(name) if e.kind == "flashed")
    assert flashed.facts["baud"] == 115_200


# ---- refused before anything is written


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        (
            {"chip": "esp32"},
            "wrong-chip",
            "an esp32 is on this port, the batch is of ESP32_GENERIC_C3",
        ),
        ({"size": 0x20000}, "flash-too-small", "there are 131072"),
        ({"size": 0}, "flash-unknown", "does not tell its size"),
        ({"secured": ("secure boot", "flash encryption")}, "secured", "secure boot and flash"),
    ],
)
def test_a_board_that_does_not_fit_is_refused(
    ledger: Ledger, facts: dict[str, Any], reason: str, words: str
) -> None:
    bench = port(**facts)
    failure = refused(line(bench, ledger).flash)
    assert (failure.reason, failure.step) == (reason, "connect")
    assert words in str(failure)
    assert not list(ledger.identities())
    assert bench.board.flash == b"\xff" * len(bench.board.flash)
    (event,) = ledger.refusals(BATCH.name)
    assert event.registration_id is None
    assert event.facts == {
        "batch": BATCH.name, "mac": MAC.hex(":"), "chip": bench.board.chip, "step": "connect",
        "port": "rfc2217://127.0.0.1:4001", "reason": reason, "detail": failure.detail,
    }  # fmt: skip


def test_a_chip_that_does_not_tell_its_mac_leaves_a_trace_too(ledger: Ledger) -> None:
    refused(line(port(mac=b"", secured=("secure download mode",)), ledger).flash)
    (event,) = ledger.refusals()
    assert (event.facts["mac"], event.facts["reason"]) == (None, "secured")


def test_who_takes_a_board_off_or_ends_the_run_refuses_none(ledger: Ledger) -> None:
    class Ended(ModelPort):
        def blank(self, offset: int, size: int) -> bool:
            raise FlashFailure("interrupted", "it was interrupted")

    class Silent(ModelPort):
        def connect(self, baud: int) -> Chip:
            raise FlashFailure("no-answer", "nobody is there")

    head = ledger.head()
    for kind in (Ended, Silent):
        refused(line(kind(ModelBoard(MAC), Fuse()), ledger).flash)
    refused(line(port(chip="esp32"), ledger).preview)
    assert ledger.head() == head


def test_what_a_refused_board_says_like_a_key_is_left_out(ledger: Ledger) -> None:
    class Leaky(ModelPort):
        def blank(self, offset: int, size: int) -> bool:
            raise FlashFailure("read-failed", f"it says {keys.encode_key(bytes(range(32)))}")

    refused(line(Leaky(ModelBoard(MAC), Fuse()), ledger).flash)
    (event,) = ledger.refusals()
    assert (event.facts["reason"], "detail" in event.facts) == ("read-failed", False)


def test_a_board_with_another_identity_is_refused_and_keeps_it(ledger: Ledger) -> None:
    bench = port()
    _give(bench.board, FactoryRecord(MAC, "0ne00009999", "sn-7-of-somebody", bytes(32)))
    before = bytes(bench.board.flash)
    failure = refused(line(bench, ledger).flash)
    assert failure.reason == "other-identity"
    assert "sn-7-of-somebody" in str(failure)
    assert "it would become sn-" in str(failure)
    assert not list(ledger.identities())
    assert bench.board.flash == before


def test_a_flash_copied_from_another_board_is_refused(ledger: Ledger) -> None:
    model, copy = port(), port(mac=mac(2))
    line(model, ledger).flash()
    copy.board.flash[:] = model.board.flash
    ledger.reserve(BATCH.name, mac(2), "esp32c3")
    failure = refused(line(copy, ledger).flash)
    assert "the ledger has it as sn-" in str(failure)
    assert failure.reason == "other-identity"
    assert MAC.hex(":") in str(failure)


def test_a_batch_that_is_used_up_is_no_fault_of_the_ledger(ledger: Ledger) -> None:
    ledger.create_batch(replace(BATCH, name="one", template="x-{serial}-{mac}"), [Unit("9001")])
    what = replace(order(), batch=replace(BATCH, name="one"))
    line(port(mac=mac(2)), ledger, what).flash()
    for step in (line(port(), ledger, what).flash, line(port(), ledger, what).preview):
        failure = refused(step)
        assert (failure.reason, failure.step) == ("batch-used-up", "reserve")
        assert "batch one" in str(failure)


def test_a_board_that_is_refused_runs_again_what_it_ran(ledger: Ledger) -> None:
    bench = port(chip="esp32")
    run = line(bench, ledger)
    failure = refused(run.flash)
    assert not bench.board.loader
    assert failure.step == "connect"
    assert [*run.seconds] == ["connect", "release"]


def test_keys_that_can_not_be_had_are_no_fault_of_the_board(ledger: Ledger) -> None:
    class Gone:
        def device_keys(self, registration_id: str) -> tuple[bytes, bytes]:
            raise CommandError("the token was taken out")

    bench = port()
    run = line(bench, ledger)
    run.keys = Gone()
    failure = refused(run.flash)
    assert (failure.reason, failure.step) == ("keys", "reserve")
    assert "taken out" in str(failure)
    (found,) = ledger.identities()
    assert found.state == "reserved"


def test_an_identity_is_replaced_where_that_is_said(ledger: Ledger) -> None:
    bench = port()
    _give(bench.board, FactoryRecord(MAC, "0ne00009999", "sn-7-of-somebody", bytes(32)))
    made = line(bench, ledger, order(replace_identity=True)).flash()
    assert bench.board.record().registration_id == made.registration_id


def test_a_key_from_another_group_is_refused(ledger: Ledger) -> None:
    bench = port()
    made = line(bench, ledger).flash()
    before = bytes(bench.board.flash)
    again = line(bench, ledger)
    again.keys = DeviceKeys(HeldKey(bytes(32), "another"), HeldKey(bytes(33), "its other"))
    failure = refused(again.flash)
    assert (failure.reason, failure.step) == ("other-key", "reserve")
    assert ledger.identity(made.registration_id).state == "good"
    *_, event = ledger.events(made.registration_id)
    assert (event.kind, event.facts["reason"]) == ("refused", "other-key")
    assert bench.board.flash == before
    again.order = order(replace_identity=True)
    again.flash()
    assert bench.board.record().keys() == list(again.keys.device_keys(made.registration_id))


def test_a_board_of_another_batch_and_a_scrapped_one_are_refused(ledger: Ledger) -> None:
    other = replace(BATCH, name="other", template="x-{serial}-{mac}")
    ledger.create_batch(other, UNITS, serials_again=True)
    bench = port()
    made = line(bench, ledger).flash()
    with pytest.raises(ForeignBoard):
        line(bench, ledger, replace(order(), batch=replace(BATCH, name="other"))).flash()
    assert ledger.identity(made.registration_id).state == "good"
    ledger.append(made.registration_id, "scrapped", reason="fell down")
    with pytest.raises(Scrapped):
        line(bench, ledger).flash()
    told = [(one.facts["batch"], one.facts["reason"]) for one in ledger.refusals()]
    assert told == [("other", "other-batch"), (BATCH.name, "scrapped")]
    assert {one.registration_id for one in ledger.refusals()} == {made.registration_id}


def test_a_board_whose_name_went_to_another_station_is_refused(ledger: Ledger) -> None:
    plain = replace(BATCH, name="plain", template="sn-{serial}")
    ledger.create_batch(plain, UNITS, serials_again=True)

    class Raced(_Passed):
        def reserve(self, batch_name: str, mac_: bytes, chip: str) -> Identity:
            ledger.reserve(batch_name, mac(2), chip)  # since the peek
            return ledger.reserve(batch_name, mac_, chip)

    bench = port()
    _give(bench.board, FactoryRecord(MAC, plain.id_scope, "sn-0001", bytes(32)))
    before = bytes(bench.board.flash)
    failure = refused(line(bench, Raced(ledger), replace(order(), batch=plain)).flash)
    assert (failure.reason, failure.step) == ("other-identity", "reserve")
    assert bench.board.flash == before


def test_a_refusal_that_the_ledger_does_not_take_is_told_first(ledger: Ledger) -> None:
    class Full(_Passed):
        def refuse(self, batch_name: str, mac: bytes, chip: str, **facts: Any) -> object:
            raise DiskFull("no room for another event")

    bench = port()
    line(bench, ledger).flash()
    again = line(bench, Full(ledger))
    again.keys = DeviceKeys(HeldKey(bytes(32), "another"))
    failure = refused(again.flash)
    assert failure.reason == "other-key"
    assert "no room for another event" in str(failure)


class _Passed:
    """A ledger, but for what a test has otherwise."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


def _give(board: ModelBoard, record: FactoryRecord) -> None:
    own = parts.own(LAYOUT, record.pack())
    board.flash[own.offset : own.end] = own.data


# ---- refused afterwards, and told to the ledger


def test_a_board_that_signs_with_another_key_is_not_good(ledger: Ledger) -> None:
    failure = refused(line(port(key=bytes(32)), ledger).flash)
    assert (failure.reason, failure.step) == ("proof-wrong", "prove")
    (found,) = ledger.identities()
    assert (found.state, found.reason) == ("failed", "proof-wrong")


def test_a_board_that_says_nothing_is_not_good(ledger: Ledger) -> None:
    failure = refused(line(port(deaf=True), ledger).flash)
    assert (failure.reason, failure.step) == ("boot-silent", "boot")
    failed = list(ledger.events())[-1]
    assert failed.kind == "failed"
    assert (failed.facts["step"], failed.facts["reason"]) == ("boot", "boot-silent")


def test_what_a_board_says_like_a_key_is_no_reason_to_forget_its_failure(ledger: Ledger) -> None:
    class Leaky(ModelPort):
        def line(self, seconds: float) -> str:
            return f"my key is {keys.encode_key(bytes(range(32)))}"

    assert refused(line(Leaky(ModelBoard(MAC), Fuse()), ledger).flash).reason == "boot-failed"
    (found,) = ledger.identities()
    assert (found.state, found.reason) == ("failed", "boot-failed")


def test_what_nobody_thought_of_is_a_failure_without_its_words(ledger: Ledger) -> None:
    class Odd(ModelPort):
        def prove(self, nonce: str) -> str:
            raise KeyError("words that hold a key")

    failure = refused(line(Odd(ModelBoard(MAC), Fuse()), ledger).flash)
    assert (failure.reason, failure.step) == ("bug", "prove")
    assert str(failure).startswith("KeyError came up: ")
    (found,) = ledger.identities()
    assert (found.state, found.reason) == ("failed", "bug")
    assert "words that hold" not in str([dict(event.facts) for event in ledger.events()])


def test_a_network_failure_is_one_only_if_the_board_is_to_register(ledger: Ledger) -> None:
    bench = port()
    line(bench, ledger).flash()
    failure = refused(line(bench, ledger, order(register=5)).flash)
    assert failure.reason == "not-registered"
    assert "32 network-down" in str(failure)


def test_a_flash_that_does_not_keep_what_is_written_is_found_out(ledger: Ledger) -> None:
    bench = port()
    written = ModelPort.write

    def forgetful(pieces: Any) -> int:
        size = written(bench, pieces)
        bench.board.flash[LAYOUT.nvs.offset + 100] ^= 1
        return size

    bench.write = forgetful  # type: ignore[method-assign]
    assert refused(line(bench, ledger).flash).reason == "differs"


def test_a_preview_changes_nothing_and_says_who_it_would_be(ledger: Ledger) -> None:
    bench = port()
    would = line(bench, ledger).preview()
    assert not list(ledger.identities())
    assert bench.board.flash == b"\xff" * len(bench.board.flash)
    assert line(bench, ledger).flash().registration_id == would.registration_id


def test_every_failure_has_a_remedy_and_the_ledger_has_every_step() -> None:
    failure = FlashFailure("wrong-chip", "it is another")
    assert str(failure).startswith("it is another: take the board")
    assert all(text[0].islower() and not text.endswith(".") for text in REMEDIES.values())
    assert {"flashed", "verified", "booted", "proven", "registered"} <= set(STEPS)


# ---- pieces


def test_pieces_are_the_whole_load_without_nvs() -> None:
    whole = {at for piece in LOADS[0].pieces() for at in range(piece.offset, piece.end)}
    wanted = {at for part in LOADS[0].parts for at in range(part.offset, part.end)}
    assert whole == wanted - set(range(LAYOUT.nvs.offset, LAYOUT.nvs.end))


def test_a_part_is_cut_where_flash_can_be_erased() -> None:
    part = Part("x", 0x1000, bytes(0x9000))
    assert [(p.offset, len(p.data)) for p in cut(part, 0x4000)] == [
        (0x1000, 0x3000), (0x4000, 0x4000), (0x8000, 0x2000)
    ]  # fmt: skip
    assert [p.offset for p in around(part, LAYOUT.nvs)] == [0x1000]


def test_what_is_used_of_an_image_is_all_that_is_not_blank() -> None:
    image = b"\xff" * 8192 + b"\x00" * 5000 + b"\xff" * 1000 + b"\x00" + b"\xff" * 2000
    assert used(image) == [(8192, 6144)]
    assert joined(len(image), [(at, image[at : at + n]) for at, n in used(image)]) == image


# ---- what is read back


RECORD = FactoryRecord(MAC, "0ne00002193", "sn-0001", bytes(32))


def test_another_record_than_the_one_written_is_found_out() -> None:
    other = FactoryRecord(MAC, "0ne00002193", "sn-0001", bytes(31) + b"\1")
    image = parts.own(LAYOUT, other.pack()).data
    assert refused(lambda: check.nvs(image, RECORD)).reason == "differs"
    assert refused(lambda: check.nvs(b"\xff" * 0x6000, RECORD)).reason == "differs"
    check.nvs(parts.own(LAYOUT, RECORD.pack()).data, RECORD)


def test_a_file_too_much_or_too_little_is_found_out() -> None:
    found = read_back(LOADS[0].filesystem.data)
    more = {**LOADS[0].files, "more.py": b""}
    assert "more.py" in str(refused(lambda: check.filesystem(found, more)))
    assert "main.py" in str(
        refused(lambda: check.filesystem(found, {"lib/x.mpy": bytes([9]) * 3000}))
    )
    assert refused(lambda: read_back(bytes(0x10000))).reason == "differs"


def test_a_half_written_nvs_belongs_to_nobody(ledger: Ledger) -> None:
    identity = ledger.peek(BATCH.name, MAC, "esp32c3")
    image = parts.own(LAYOUT, FactoryRecord(MAC, "0ne0", "sn-x", bytes(32)).pack()).data
    assert refused(lambda: check.refuse_other(image, identity)).reason == "other-identity"
    check.refuse_other(image[:96].ljust(len(image), b"\xff"), identity)
    check.refuse_other(nvs.partition([nvs.Entry("wifi", "x", "i32", 1)], 0x6000), identity)


# ---- the console


def boot() -> Boot:
    return Boot(MAC, "sn-0001", "0.1.0")


STARTED = f"[   0.15] keystead 0.1.0, MAC {MAC.hex(':')}"


def test_a_boot_is_seen_when_the_firmware_has_read_its_record() -> None:
    watch = boot()
    lines = ["ESP-ROM:esp32c3-api1-20210207", "", STARTED]
    assert not any(watch.take(text) for text in lines)
    assert watch.take("[   0.31] factory record: sn-0001, ID scope 0ne00002193")


def test_a_board_without_a_network_goes_no_further_than_that() -> None:
    watch = boot()
    watch.take(STARTED)
    assert watch.take("[   0.2] FAILURE") is False
    assert watch.take("[   0.20] FAILURE 31 network-unset: there is no config.json")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("invalid header: 0xffffffff", "boot-failed"),
        ("Brownout detector was triggered", "brown-out"),
        ("waiting for download", "download-mode"),
        ("Guru Meditation Error: Core  0 panic'ed (LoadProhibited)", "boot-failed"),
        (f"[   0.15] keystead 0.0.9, MAC {MAC.hex(':')}", "wrong-firmware"),
        ("[   0.15] keystead 0.1.0, MAC 00:00:00:00:00:01", "board-swapped"),
        ("[   0.31] factory record: sn-0002, ID scope 0ne00002193", "record-failed"),
        ("[   0.31] FAILURE 25 record-foreign: it belongs to a1b2c3d4e5f6", "record-failed"),
        ("[   0.31] FAILURE 12 out-of-memory", "boot-failed"),
        ("[   0.31] FAILURE 55 roots-absent: no certificate", "boot-failed"),
    ],
)
def test_what_the_console_says_against_a_board(text: str, reason: str) -> None:
    watch = boot()
    watch.take(STARTED)
    failure = refused(lambda: watch.take(text))
    assert failure.reason == reason
    assert reason != "boot-failed" or text[-16:] in str(failure)


def test_time_that_ran_out_says_what_was_seen() -> None:
    watch = boot()
    assert watch.missing().reason == "boot-silent"
    watch.take("MicroPython v1.26.1 on 2025-09-11; \x1b[31m" + "x" * 500)
    told = str(watch.missing())
    assert "MicroPython v1.26.1" in told
    assert "\x1b" not in told
    assert len(told) < 400
    watch.take(STARTED)
    assert "never read its record" in str(watch.missing())


def test_registration_ends_when_the_hub_let_the_board_in() -> None:
    watch = Registration()
    assert not watch.take("[   2.00] FAILURE 62 dps-unauthorized (401): no")
    assert "62 dps-unauthorized" in str(watch.missing())
    assert "`spread`" not in str(watch.missing())
    assert "`spread`" not in str(Registration(90, 60).missing())
    assert "waits up to 60 s (`spread`)" in str(Registration(89, 60).missing())
    assert not watch.take("hub: connected")
    assert watch.take("[   9.00] hub: connected")


# ---- the proof


def test_a_nonce_is_never_used_twice() -> None:
    assert len({nonce() for _ in range(100)}) == 100


@pytest.mark.parametrize("name", ["mac", "registrationId", "crc", "proof"])
def test_each_claim_is_compared(name: str) -> None:
    challenge = Challenge(nonce(), RECORD)
    claims = proof.claims(RECORD, bytes.fromhex(challenge.nonce))
    challenge.check(json.dumps(claims))
    assert (
        refused(lambda: challenge.check(json.dumps({**claims, name: "00"}))).reason
        == "proof-wrong"
    )


@pytest.mark.parametrize(
    "answer",
    ["", "Traceback (most recent call last):", "[]", "7", "{}", "[" * 2048, '{"mac": "\\ud800"}'],
)
def test_an_answer_that_is_none_proves_nothing(answer: str) -> None:
    assert refused(lambda: Challenge(nonce(), RECORD).check(answer)).reason in (
        "proof-absent",
        "proof-wrong",
    )


def test_no_key_is_in_what_is_shown() -> None:
    record = FactoryRecord(MAC, "0ne0", "sn-1", b"\x5a" * 32)
    load = Load(LAYOUT, (Part("p", 0, b"\x5a" * 32),), {"f": b"\x5a" * 32})
    told = repr([Challenge("00", record), load, parts.own(LAYOUT, record.pack())])
    assert "ZZZZ" not in told
    assert "5a5a" not in told
    assert isinstance(FlashFailure("keys", "x"), CommandError)
    assert model_line.mac(1) == MAC
