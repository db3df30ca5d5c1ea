"""The whole line, once, by its real commands; and what must be true of all that it left.

The keys are canaries: they are looked for in every output, file, argument and environment.
"""

import base64
import csv
import fcntl
import json
import os
import pickle
from pathlib import Path

import pytest
from pypdf import PdfReader

from host_tools import keys, nvs
from host_tools.ledger import open_ledger
from keystead.record import FactoryRecord, unpack
from tests.factory.key_forms import found
from tests.factory.whole_run import GROUP_KEYS, KEYS, MACS, NAMES, NEW, OLD, Run, whole_run

NVS = slice(0x9000, 0xF000)  # where stock MicroPython has it
FAILING = {"killed": -9, "check twice": 1}  # all others end with 0
DEVICES = ("/dev/null", "/dev/tty")
# seconds: whichever test comes first makes the run, or waits for another process that makes it
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run for all processes that run these tests."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole-line"
    root.mkdir(exist_ok=True)
    with open(root / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = root / "run.pickle"
        if not done.exists():
            done.write_bytes(pickle.dumps(whole_run(root)))
        return pickle.loads(done.read_bytes())  # type: ignore[no-any-return]


def files(run: Run) -> dict[str, bytes]:
    """All that lies in the factory's folders, and what had been there."""
    paths = [path for path in run.factory.rglob("*") if path.is_file()]
    paths += run.witness.glob("*.removed")
    assert len(paths) > 15
    content = {str(path.relative_to(run.root)): path.read_bytes() for path in paths}
    pdf = PdfReader(run.factory / "desk" / "labels.pdf")  # whose pages are compressed
    return content | {"labels.pdf's text": "".join(p.extract_text() for p in pdf.pages).encode()}


def work(run: Run, name: str) -> str:
    return (run.factory / "desk" / name).read_text(encoding="utf-8")


# ---- the keys


@pytest.mark.parametrize(
    "written",
    [
        lambda key: key,
        lambda key: key.hex().upper().encode(),
        lambda key: b"x=" + base64.b64encode(key).rstrip(b"="),
        lambda key: base64.urlsafe_b64encode(b"some text before " + key + b" and behind"),
        lambda key: json.dumps(base64.b64encode(b"1" + key).decode()).encode(),
        lambda key: repr({"key": key}).encode(),
    ],
)
def test_a_key_would_be_found(written) -> None:  # type: ignore[no-untyped-def]
    for name, key in KEYS.items():
        assert found(KEYS, b"before" + written(key) + b"behind") == {name}


def test_no_key_is_in_what_any_command_or_board_said(run: Run) -> None:
    for name, command in run.commands.items():
        assert not found(KEYS, f"{command.words} {command.out} {command.err}".encode()), name
        assert run.policy.partition("SharedAccessKey=")[2] not in command.out + command.err
    for serial, said in run.consoles.items():
        programs = [part.partition("waiting for download")[0] for part in said.split("BOOT)")]
        assert any(f"factory record: {NAMES[serial]}" in part for part in programs)
        assert not found(KEYS, "".join(programs).encode("latin-1")), serial


def test_no_key_is_in_any_file_the_line_left_or_had_for_a_while(run: Run) -> None:
    content = files(run)
    assert {"ledger.db", "ledger.db-wal.kept", "labels.pdf", "report.html"} <= {
        Path(name).name for name in content
    }
    assert {name: found(KEYS, data) for name, data in content.items() if found(KEYS, data)} == {}


def test_all_that_was_written_is_where_keys_were_looked_for(run: Run) -> None:
    wrote = {fact["wrote"].removeprefix("file:") for fact in run.told() if "wrote" in fact}
    assert len(wrote) > 15
    places = (str(run.factory), *DEVICES)
    assert {name for name in wrote if not name.startswith(places)} == set()


def test_a_group_key_is_in_no_argument_and_no_process_inherits_it(run: Run) -> None:
    group = {f"group {kind}": key for kind, key in GROUP_KEYS.items()}
    workers = 0
    for fact in run.told():
        if "argv" in fact:
            assert not found(KEYS, fact["argv"].encode("latin-1")), fact["argv"]
            has = found(group, fact["environ"].encode("latin-1"))
            assert has == (set(group) if fact["pid"] in run.typed else set()), fact["argv"]
            workers += fact["parent"] in run.typed
        if "started" in fact:
            assert not found(KEYS, repr(fact["started"]).encode())
            assert not found(KEYS, repr(fact["environment"]).encode()), fact["started"]
    assert workers >= 4  # of the flash commands


def test_no_process_of_the_machine_showed_a_key_meanwhile(run: Run) -> None:
    shown = {(name, whose.split()[0]) for pid, name, whose in run.seen if pid not in run.typed}
    assert shown == set()
    assert {name for _, name, _ in run.seen} <= {"environ"}  # where these were given it


def test_a_device_key_is_in_its_own_boards_nvs_and_nowhere_else(run: Run) -> None:
    for serial in NAMES:
        flash = run.flash(serial)
        own = {f"{serial} primary", f"{serial} secondary"}
        assert found(KEYS, flash[NVS]) == own
        assert found(KEYS, flash[: NVS.start] + flash[NVS.stop :]) == set()


# ---- who is who


def test_serial_mac_name_and_key_belong_together_from_list_to_label(run: Run) -> None:
    exported = {row["serial"]: row for row in csv.DictReader(work(run, "boards.csv").splitlines())}
    printed = {row["serial"]: row for row in csv.DictReader(work(run, "labels.csv").splitlines())}
    assert set(exported) == set(printed) == set(NAMES)
    for serial, name in NAMES.items():
        device_keys = [keys.derive_device_key(key, name) for key in GROUP_KEYS.values()]
        blob = nvs.read(run.flash(serial)[NVS])[("keystead", "record")]
        assert isinstance(blob, bytes)
        wanted = FactoryRecord(MACS[serial], "0ne00002193", name, *device_keys)
        assert unpack(blob, MACS[serial]).pack() == wanted.pack()
        for row in (exported[serial], printed[serial]):
            assert (row["registration_id"], row["mac"]) == (name, MACS[serial].hex(":"))
            assert keys.fingerprint(device_keys[0]).startswith(row["fingerprint"])
        assert exported[serial]["state"] == "good"
        assert exported[serial]["order"] == "4711"


def test_dps_and_the_ledger_agree(run: Run) -> None:
    [told] = run.commands["reconcile"].documents()
    none = {"neverSeen": [], "neverMade": [], "notGood": [], "notAssigned": []}
    assert told == {"matched": 2, **none}


def test_labels_and_report_name_the_boards_and_no_whole_fingerprint(run: Run) -> None:
    content = files(run)
    names = [name for name in content if Path(name).name.startswith(("labels.", "report."))]
    for name in {*names, "labels.pdf's text"} - {"factory/desk/labels.pdf"}:
        told = content[name].decode()
        assert "pilot" in told if "report" in name else all(one in told for one in MACS), name
        for key in KEYS.values():
            assert keys.fingerprint(key)[:32] not in told, name


# ---- what happened


def test_a_run_that_was_killed_is_gone_on_with_by_the_next(run: Run) -> None:
    would = run.commands["dry run"].documents()[-1]
    [halfway] = run.commands["half-way"].documents()
    good = run.commands["flash"].documents()[-1]
    again = run.commands["again"].documents()[-1]
    assert halfway["state"] == "flashing"
    assert {one["registrationId"] for one in (would, halfway, good, again)} == {NAMES[NEW]}
    assert (good["result"], again["result"]) == ("good", "good")
    [shown] = run.commands["show"].documents()
    kinds = [event["kind"] for event in shown["events"]]
    made = ["flashing", "flashed", "verified", "booted", "proven", "good"]
    assert kinds == ["reserved", "flashing", *made[:-1], "registered", "good", *made]


def test_the_retrofitted_board_is_good_and_its_files_are_kept(run: Run) -> None:
    *_, good = run.commands["retrofit"].documents()
    assert (good["result"], good["registrationId"]) == ("good", NAMES[OLD])
    assert "boot.py" in {path.name for path in (run.factory / "desk" / "old").rglob("*")}


def test_the_ledger_verifies_as_it_was_left_and_as_it_was_exported(run: Run) -> None:
    head = run.commands["head"].out.strip()
    [verdict] = run.commands["verify"].documents()
    assert (verdict["ok"], verdict["head"]) == (True, head)
    *_, last = map(json.loads, work(run, "boards.events").splitlines())
    assert f"{last['number']}:{last['hash']}" == head
    with open_ledger(str(run.factory / "desk" / "ledger.db")) as ledger:
        assert ledger.verify(head).identities == 2
        assert ledger.count("pilot").free == 1


def test_exit_codes_are_as_documented(run: Run) -> None:
    codes = {name: command.code for name, command in run.commands.items()}
    assert codes == {name: FAILING.get(name, 0) for name in codes}


def test_what_scripts_read_is_json_and_nothing_else_is_said(run: Run) -> None:
    spoken = {name: one for name, one in run.commands.items() if "--json" in one.words}
    assert len(spoken) > 10
    for name, command in spoken.items():
        assert all(isinstance(one, dict) for one in command.documents()), name
        assert command.err == "", name
    assert [one["state"] for one in json.loads(work(run, "boards.json"))] == ["good", "good"]
