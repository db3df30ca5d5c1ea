"""What a ledger does, whichever database it is in: tests for both, run by the modules of each."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from host_tools.batch import Batch, Unit
from host_tools.keys import encode_key
from host_tools.ledger import (
    AlreadyIssued,
    BadEvent,
    BatchUsedUp,
    ForeignBoard,
    LedgerError,
    NoLedger,
    Scrapped,
    Tampered,
    UnknownBatch,
    UnknownBoard,
    open_ledger,
)

CHIP = "esp32c3"
FINGERPRINT = "ab" * 32
MADE = ("flashed", "verified", "booted", "proven", "good")


def batch(name="A", **fields):
    """Return a batch."""
    return Batch(name, "ESP32_GENERIC_C3", "0ne00002193", **fields)


def units(count, prefix="sn", **fields):
    """Return so many units, lines from 2 as in a CSV."""
    return [Unit(f"{prefix}{n:03d}", line=n + 1, **fields) for n in range(1, count + 1)]


def mac(number):
    """Return a board's MAC."""
    return bytes([2, 0, 0, 0, number >> 8, number & 255])


def make(ledger, identity, until="good", **facts):
    """Carry one attempt through its steps; return its number."""
    attempt = ledger.begin_attempt(identity.registration_id, fingerprint=FINGERPRINT, **facts)
    for kind in MADE[: MADE.index(until) + 1]:
        ledger.append(identity.registration_id, kind, attempt=attempt)
    return attempt


class Conduct:
    """The tests; a module's fixture `place` gives them a new place for a ledger."""

    @pytest.fixture
    def ledger(self, place):
        with open_ledger(place, "line-1", create=True) as found:
            yield found

    def test_a_place_without_a_ledger_gets_one_only_when_asked(self, place):
        with pytest.raises(NoLedger, match="batch create"):
            open_ledger(place)
        open_ledger(place, create=True).close()
        with open_ledger(place) as found:
            assert [event.kind for event in found.events()] == ["created"]
            assert found.verify().events == 1

    def test_boards_get_units_in_order_and_their_own_again(self, ledger, place):
        ledger.create_batch(batch(), units(3))
        first, second = ledger.reserve("A", mac(1), CHIP), ledger.reserve("A", mac(2), CHIP)
        assert (first.serial, second.serial) == ("sn001", "sn002")
        assert first.registration_id == "sn-sn001-mac-02-00-00-00-00-01"
        assert (first.state, first.fingerprint, first.mac) == ("reserved", None, mac(1))
        with open_ledger(place, "line-2") as other:
            assert other.reserve("A", mac(1), CHIP) == first
            assert other.by_mac(mac(2)) == other.find("sn002") == second
            assert other.identity(first.registration_id.upper()) == first
        assert [one.serial for one in ledger.identities("A", "reserved")] == ["sn001", "sn002"]
        assert ledger.count("A").free == 1

    def test_a_preview_changes_nothing(self, ledger):
        ledger.create_batch(batch(), units(1))
        head = ledger.head()
        seen = ledger.peek("A", mac(1), CHIP)
        assert (seen.serial, ledger.head(), ledger.by_mac(mac(1))) == ("sn001", head, None)
        assert ledger.reserve("A", mac(1), CHIP).registration_id == seen.registration_id
        assert ledger.peek("A", mac(1), CHIP) == ledger.by_mac(mac(1))
        with pytest.raises(BatchUsedUp):
            ledger.peek("A", mac(2), CHIP)

    def test_a_unit_that_names_a_mac_is_that_boards_and_no_others(self, ledger):
        named = Unit("x1", mac=mac(7), registration_id="press-7", extra={"order": "4711"})
        ledger.create_batch(batch(), [named, *units(1)])
        assert ledger.reserve("A", mac(1), CHIP).serial == "sn001"
        with pytest.raises(ForeignBoard, match="02:00:00:00:00:02 is none of them"):
            ledger.reserve("A", mac(2), CHIP)
        assert ledger.reserve("A", mac(7), CHIP).registration_id == "press-7"
        assert next(ledger.units("A")) == named
        assert [made.extra for made in ledger.made("A")] == [{}, {"order": "4711"}]

    def test_a_batch_that_is_used_up_says_so(self, ledger):
        ledger.create_batch(batch(), units(1))
        ledger.reserve("A", mac(1), CHIP)
        with pytest.raises(BatchUsedUp, match="batch A is used up"):
            ledger.reserve("A", mac(2), CHIP)
        with pytest.raises(UnknownBatch, match="no batch 'C': it has A"):
            ledger.reserve("C", mac(2), CHIP)

    def test_a_board_of_another_batch_is_refused(self, ledger):
        ledger.create_batch(batch("A"), units(1))
        ledger.create_batch(batch("B"), [Unit("b1", mac=mac(9)), *units(1, "b0")])
        ledger.reserve("A", mac(1), CHIP)
        with pytest.raises(ForeignBoard, match="belongs to batch A as sn-sn001"):
            ledger.reserve("B", mac(1), CHIP)
        with pytest.raises(ForeignBoard, match="planned in batch B as serial b1"):
            ledger.reserve("A", mac(9), CHIP)
        with pytest.raises(ForeignBoard, match="two boards with one MAC"):
            ledger.reserve("A", mac(1), "esp32")

    @pytest.mark.parametrize("blank", [b"", bytes(6), b"\xff" * 6, b"\1\2\3"])
    def test_what_is_no_mac_is_no_board(self, ledger, blank):
        ledger.create_batch(batch(), units(1))
        with pytest.raises(LedgerError, match="is no board's MAC"):
            ledger.reserve("A", blank, CHIP)

    @pytest.mark.parametrize(
        ("second", "why"),
        [
            (
                [Unit("a", line=2), Unit("a", line=3)],
                "line 3, serial a: serial a is that of line 2",
            ),
            (
                [Unit("a", mac=mac(1), line=4)],
                "line 4, serial a: MAC 02:00:00:00:00:01 is in batch",
            ),
            (
                [Unit("a", mac=mac(5), line=4)],
                "line 4, serial a: MAC 02:00:00:00:00:05 is in batch",
            ),
            (
                [Unit("a", registration_id="press-5", line=9)],
                "registration ID press-5 is in batch A",
            ),
            ([Unit("A B", line=2)], "line 2, serial A B: registration ID"),
            (
                [Unit("a", extra={"device_key": "x"}, line=2)],
                "line 2, serial a: 'device_key' is not",
            ),
            ([], "no units"),
        ],
    )
    def test_a_batch_with_one_bad_unit_is_not_planned_at_all(self, ledger, second, why):
        ledger.create_batch(batch(), [Unit("p", mac=mac(5), registration_id="press-5"), *units(1)])
        ledger.reserve("A", mac(1), CHIP)
        head = ledger.head()
        with pytest.raises(LedgerError) as caught:
            ledger.create_batch(batch("B"), [*units(1, "ok"), *second] if second else [])
        assert why in str(caught.value)
        assert ledger.head() == head
        assert [one.name for one in ledger.batches()] == ["A"]

    def test_serials_are_planned_again_only_on_purpose(self, ledger):
        ledger.create_batch(batch(), units(5))
        head, again = ledger.head(), [Unit("new"), *units(5)]
        for refuse in (ledger.create_batch, ledger.check_batch):
            with pytest.raises(AlreadyIssued) as caught:
                refuse(batch("B"), again)
            assert str(caught.value).startswith(
                "5 serials of 6 planned before: line 2, serial sn001 in batch A, line 3, serial"
                " sn002 in batch A, line 4, serial sn003 in batch A and 2 more; "
            )
        ledger.check_batch(batch("B"), again, serials_again=True)
        assert ledger.head() == head
        ledger.create_batch(batch("B"), again, serials_again=True)
        assert ledger.verify().batches == 2

    def test_names_that_differ_in_capitals_only_are_one_name(self, ledger):
        wide = {"template": "{serial}", "wide": True}
        ledger.create_batch(batch("A", **wide), [Unit("Press-1")])
        with pytest.raises(AlreadyIssued, match="a batch A already"):
            ledger.create_batch(batch("a"), units(1))
        with pytest.raises(AlreadyIssued, match="press-1 is in batch A"):
            ledger.create_batch(batch("B", **wide), [Unit("press-1")])

    def test_a_registration_id_is_issued_once_though_the_template_makes_it_twice(self, ledger):
        ledger.create_batch(batch("A", template="m-{mac}"), units(1))
        fixed = Unit("z", registration_id="m-02-00-00-00-00-01")
        ledger.create_batch(batch("B"), [fixed])
        with pytest.raises(AlreadyIssued, match="is serial z's of batch B"):
            ledger.reserve("A", mac(1), CHIP)
        assert ledger.reserve("A", mac(2), CHIP).serial == "sn001"

    def test_a_board_is_made_in_one_attempt_with_all_its_steps(self, ledger):
        ledger.create_batch(batch(), units(1))
        one = ledger.reserve("A", mac(1), CHIP)
        attempt = make(ledger, one, "proven", port="/dev/ttyUSB0")
        ledger.append(one.registration_id, "failed", attempt=attempt, reason="no-hub")
        failed = ledger.identity(one.registration_id)
        assert (failed.state, failed.reason, failed.attempt) == ("failed", "no-hub", 1)
        assert make(ledger, ledger.reserve("A", mac(1), CHIP)) == 2
        good = ledger.identity(one.registration_id)
        assert (good.state, good.reason, good.fingerprint) == ("good", "", FINGERPRINT)
        kinds = [event.kind for event in ledger.events(one.registration_id)]
        assert kinds == ["reserved", "flashing", *MADE[:4], "failed", "flashing", *MADE]
        assert ledger.verify(ledger.head()).identities == 1

    def test_only_the_begin_of_an_attempt_says_which_key_a_board_has(self, ledger):
        ledger.create_batch(batch(), units(1))
        name = ledger.reserve("A", mac(1), CHIP).registration_id
        for bad in ("", "ab", "AB" * 32, FINGERPRINT + "\n", 7):
            with pytest.raises(BadEvent, match="64 hex digits"):
                ledger.begin_attempt(name, fingerprint=bad)
        ledger.begin_attempt(name, fingerprint=FINGERPRINT)
        ledger.append(name, "noted", fingerprint="cd" * 32)
        assert ledger.identity(name).fingerprint == FINGERPRINT
        assert ledger.verify().identities == 1

    @pytest.mark.parametrize(
        "serial", ["{mac}", "a}", "=1+1", "@SUM(A1)", "+1", "-1", "a\x1b[m", ""]
    )
    def test_a_serial_that_would_be_something_else_elsewhere_is_refused(self, ledger, serial):
        with pytest.raises(LedgerError, match="serial"):
            ledger.create_batch(batch(template="m-{mac}"), [Unit(serial, line=2)])

    def test_a_scrapped_board_stays_out_until_it_is_restored(self, ledger):
        ledger.create_batch(batch(), units(1))
        one = ledger.reserve("A", mac(1), CHIP)
        ledger.append(one.registration_id, "scrapped", reason="cracked")
        for act in (lambda: ledger.reserve("A", mac(1), CHIP), lambda: make(ledger, one)):
            with pytest.raises(Scrapped, match=r"was scrapped \(cracked\)"):
                act()
        ledger.append(one.registration_id, "restored", reason="wrong label")
        make(ledger, ledger.reserve("A", mac(1), CHIP))

    def test_a_board_that_is_refused_leaves_a_trace_and_gets_no_identity(self, ledger):
        ledger.create_batch(batch(), units(2))
        ledger.create_batch(batch("B"), units(1, "b"))
        facts = {"port": "/dev/ttyUSB0", "step": "connect", "reason": "wrong-chip", "detail": "x"}
        first = ledger.refuse("A", mac(1), "esp32", **facts)
        assert (first.registration_id, first.kind) == (None, "refused")
        assert first.facts == {
            **facts, "batch": "A", "mac": "02:00:00:00:00:01", "chip": "esp32",
        }  # fmt: skip
        ledger.refuse("B", b"", CHIP, reason="secured")
        assert (ledger.by_mac(mac(1)), ledger.count("A").free) == (None, 2)
        assert [one.facts["mac"] for one in ledger.refusals()] == ["02:00:00:00:00:01", None]
        assert list(ledger.refusals("A")) == ledger.refused(mac(1)) == [first]
        assert ledger.verify(ledger.head()).identities == 0

    def test_a_board_that_is_refused_stays_what_it_is(self, ledger):
        ledger.create_batch(batch(), units(1))
        ledger.refuse("A", mac(1), CHIP, reason="flash-too-small")
        one = ledger.reserve("A", mac(1), CHIP)
        attempt = make(ledger, one, "proven")
        ledger.refuse("A", mac(1), CHIP, reason="other-key")
        ledger.append(one.registration_id, "good", attempt=attempt)
        ledger.append(one.registration_id, "scrapped", reason="cracked")
        ledger.refuse("A", mac(1), CHIP, reason="scrapped")
        assert ledger.identity(one.registration_id).state == "scrapped"
        *_, last = ledger.events(one.registration_id)
        assert (last.kind, last.facts["reason"]) == ("refused", "scrapped")
        assert [event.facts["reason"] for event in ledger.refused(mac(1))] == ["flash-too-small"]
        assert len(list(ledger.refusals("A"))) == 3
        assert ledger.verify().identities == 1

    def test_a_refusal_that_says_nothing_true_or_too_much_is_refused_itself(self, ledger):
        ledger.create_batch(batch(), units(1))
        head, key = ledger.head(), encode_key(bytes(range(32)))
        for error, act in (
            (UnknownBatch, lambda: ledger.refuse("C", mac(1), CHIP, reason="x")),
            (UnknownBatch, lambda: ledger.refusals("C")),
            (LedgerError, lambda: ledger.refuse("A", b"12345", CHIP, reason="x")),
            (BadEvent, lambda: ledger.refuse("A", mac(1), CHIP, detail=f"it says {key}")),
        ):
            with pytest.raises(error):
                act()
        assert ledger.head() == head

    def test_the_serials_that_are_free_are_those_without_a_board(self, ledger):
        ledger.create_batch(batch(), [Unit("named", mac=mac(7)), *units(3)])
        ledger.reserve("A", mac(1), CHIP)
        free = [unit.serial for unit in ledger.units("A", free=True)]
        assert free == ["named", "sn002", "sn003"]
        assert len(list(ledger.units("A"))) == 4

    def test_boards_made_elsewhere_are_known_and_can_be_made_again(self, ledger):
        listed = [
            Unit("e1", mac=mac(1), registration_id="old-1", extra={"fingerprint": FINGERPRINT})
        ]
        (one,) = ledger.import_batch(batch(), listed, CHIP, "old.csv")
        assert (one.state, one.fingerprint) == ("imported", FINGERPRINT)
        assert ledger.reserve("A", mac(1), CHIP) == ledger.identity("old-1") == one
        with pytest.raises(AlreadyIssued):
            ledger.create_batch(batch("B", wide=True), [Unit("x", registration_id="OLD-1")])
        with pytest.raises(LedgerError, match="names no MAC"):
            ledger.import_batch(batch("C"), units(1), CHIP, "old.csv")
        make(ledger, one)
        assert ledger.verify().identities == 1

    def test_a_board_is_found_by_whatever_is_on_its_label(self, ledger):
        for name in ("A", "B"):
            listed = [*units(1), Unit(f"only-{name.lower()}")]
            ledger.create_batch(batch(name), listed, serials_again=True)
            for _ in range(2):
                number = len(list(ledger.identities())) + 1
                ledger.reserve(name, mac(number), CHIP)
        for text in (
            "only-a",
            "02-00-00-00-00-02",
            "020000000002",
            "SN-ONLY-A-mac-02-00-00-00-00-02",
        ):
            assert ledger.find(text).serial == "only-a"
        with pytest.raises(UnknownBoard, match="several batches: name one of sn-sn001-mac"):
            ledger.find("sn001")
        with pytest.raises(UnknownBoard, match="no board 'nobody'"):
            ledger.find("nobody")

    def test_facts_come_back_as_they_were_and_secrets_never_get_in(self, ledger):
        ledger.create_batch(batch(), units(1))
        name = ledger.reserve("A", mac(1), CHIP).registration_id
        facts = {"seconds": 1.25, "ünï": ["☃", None, True], "port": "socket://[::1]:1"}
        assert ledger.append(name, "noted", **facts).facts == facts
        head = ledger.head()
        key = encode_key(bytes(range(64)))
        for bad in (
            {"primary_key": "x"},
            {"note": f"its key is {key}"},
            {"inner": [{"Password": "x"}]},
            {"data": b"bytes"},
            {"long": "x" * 20_000},
            {"number": float("nan")},
            {"half": "\ud800"},
            {"inner": [{"\udfff": "x"}]},
        ):
            with pytest.raises(BadEvent) as caught:
                ledger.append(name, "noted", **bad)
            assert key not in str(caught.value)
        with pytest.raises(BadEvent, match="no event of a board"):
            ledger.append(name, "godd")
        assert ledger.head() == head
        assert ledger.verify().events == 4

    def test_many_ports_of_one_station_use_one_ledger(self, ledger):
        ledger.create_batch(batch(), units(40))

        def port(number):
            for board in range(5):
                make(ledger, ledger.reserve("A", mac(100 * number + board + 1), CHIP), "proven")

        with ThreadPoolExecutor(8) as ports:
            list(ports.map(port, range(8)))
        assert ledger.verify().identities == 40
        assert ledger.count("A").free == 0

    def test_the_clock_is_the_stations_and_in_utc(self, place):
        with open_ledger(place, "line-9", create=True, clock=lambda: 1_792_000_000.5) as ledger:
            (event,) = ledger.events()
        assert (event.at, event.station) == ("2026-10-14T17:46:40.500Z", "line-9")

    def test_a_head_kept_elsewhere_shows_another_chain(self, ledger):
        ledger.create_batch(batch(), units(1))
        head = ledger.head()
        ledger.reserve("A", mac(1), CHIP)
        assert ledger.verify(head) == ledger.verify(head.partition(":")[2])
        with pytest.raises(Tampered, match="event 2: its hash is not the one kept elsewhere"):
            ledger.verify("2:" + "0" * 64)
        with pytest.raises(Tampered, match="event 4: is missing, and all up to 9"):
            ledger.verify("9:" + "0" * 64)
        with pytest.raises(LedgerError, match="is no head"):
            ledger.verify("2:abc")


def hashes_again(events):
    """Return whether exported events bear their own hashes, as anybody could compute them."""
    previous = "0" * 64
    for one in events:
        line = [
            one[name] for name in ("number", "at", "station", "kind", "registrationId", "facts")
        ]
        text = json.dumps([*line, previous], sort_keys=True, separators=(",", ":"))
        if one["previous"] != previous or one["hash"] != hashlib.sha256(text.encode()).hexdigest():
            return False
        previous = one["hash"]
    return True
