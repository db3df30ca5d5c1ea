"""The check at packing: only a good board with its own label leaves, and only once."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest

from host_tools.cli import main
from host_tools.labels.boards import labelled
from host_tools.labels.code import Label, read
from host_tools.labels.packing import Packing
from host_tools.ledger import Event, Ledger
from tests.factory.made_batch import FINGERPRINT, NAME, Line, ledger, mac


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """Four boards: good, good, failed, and one that is being made."""
    line = Line(tmp_path / "factory.db", 6)
    line.attempt(1)
    line.attempt(2)
    line.attempt(3, "boot-silent")
    made = line.stations[0].reserve(NAME, mac(4), "esp32c3").registration_id
    line.stations[0].begin_attempt(made, fingerprint=FINGERPRINT)
    yield line
    line.close()


def code(line: Line, number: int) -> str:
    identity = line.stations[0].by_mac(mac(number))
    assert identity
    return labelled(identity).code


def checks(book: Ledger) -> list[Event]:
    return [event for event in book.events() if event.kind == "checked"]


def check(line: Line, text: str, **options: object) -> str:
    return Packing(line.stations[0], **options).check(text).reason  # type: ignore[arg-type]


def test_a_good_board_may_leave_and_that_is_recorded(line: Line) -> None:
    assert check(line, code(line, 1)) == ""
    (event,) = checks(line.stations[0])
    assert event.registration_id == read(code(line, 1)).registration_id
    assert event.facts == {"passed": True, "attempt": 1}
    identity = line.stations[0].by_mac(mac(1))
    assert identity
    assert identity.state == "good"


def test_a_second_scan_is_stopped_unless_it_is_packed_again(line: Line) -> None:
    assert check(line, code(line, 1)) == ""
    assert "it passed at 2026-11-23" in check(line, code(line, 1))
    assert check(line, code(line, 1), again=True) == ""
    assert [event.facts["passed"] for event in checks(line.stations[0])] == [True, False, True]


def test_a_board_that_was_made_anew_may_leave_again(line: Line) -> None:
    assert check(line, code(line, 1)) == ""
    line.attempt(1)
    assert check(line, code(line, 1)) == ""


@pytest.mark.parametrize(
    ("number", "why"),
    [(3, "it is failed (boot-silent), not good"), (4, "it is flashing, not good")],
)
def test_a_board_that_is_not_good_stays(line: Line, number: int, why: str) -> None:
    assert why in check(line, code(line, number))
    (event,) = checks(line.stations[0])
    assert event.facts["passed"] is False
    assert why in event.facts["reason"]
    identity = line.stations[0].by_mac(mac(number))
    assert identity
    assert identity.state != "good"


def test_a_scrapped_board_stays(line: Line) -> None:
    name = read(code(line, 2)).registration_id
    line.stations[0].append(name, "scrapped", reason="dropped")
    assert "it is scrapped (dropped), not good" in check(line, code(line, 2))


def test_a_label_that_is_not_the_boards_own_is_stopped(line: Line) -> None:
    label = read(code(line, 1))
    name, key, batch = label.registration_id, label.fingerprint, label.batch
    for other, why in (
        (Label(name, key[::-1], batch), "its key is not the one on the label"),
        (Label(name, key, "mill-8"), "the ledger has it in batch mill-7"),
        (Label(name.upper(), key, batch), f"the ledger writes it {name}"),
        (Label("sn-9999", key, batch), "the ledger does not know this board"),
    ):
        assert why in check(line, other.text())
    assert len(checks(line.stations[0])) == 3


def test_only_the_batch_that_is_packed_passes(line: Line) -> None:
    assert "it is not of batch mill-8" in check(line, code(line, 1), batch="mill-8")
    assert check(line, code(line, 1), batch=NAME) == ""


def test_of_two_packers_who_scan_one_label_at_once_one_is_stopped(
    line: Line, tmp_path: Path
) -> None:
    barrier, text = Barrier(2), code(line, 1)

    def packer(_: int) -> bool:
        with ledger(tmp_path / "factory.db") as book:
            barrier.wait(10)
            return Packing(book).check(text).passed

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(packer, range(2))) == [False, True]


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be a user whom file modes hold back, which they don't root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_what_can_not_be_recorded_may_not_leave(line: Line, tmp_path: Path) -> None:
    text = code(line, 1)
    line.close()
    with tempfile.TemporaryDirectory(prefix="keystead-") as folder:  # others may enter it
        os.chmod(folder, 0o755)
        copy = Path(folder) / "factory.db"
        shutil.copyfile(tmp_path / "factory.db", copy)
        copy.chmod(0o444)
        with somebody_else(), ledger(copy) as book:
            answer = Packing(book).check(text)
    assert "the ledger does not answer" in answer.reason
    assert not answer.passed


def test_a_scanner_on_stdin_is_answered_line_by_line(line: Line, tmp_path: Path) -> None:
    text = f"{code(line, 1)}\r\n\n{code(line, 3)}\nfoo\n{'x' * 1000}\n{code(line, 2)}"
    done = subprocess.run(
        [sys.executable, "-m", "host_tools", "check", "--ledger", str(tmp_path / "factory.db")],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [text.split()[0] for text in lines] == ["PACK", "STOP", "STOP", *["STOP"] * 3, "PACK"]
    assert lines[0].endswith("serial 0001")
    assert done.returncode == 1
    assert done.stderr == "2 may leave, 5 may not\n"


def test_the_exit_code_tells_whether_all_may_leave(line: Line, tmp_path: Path, capsys) -> None:
    place = ["--ledger", str(tmp_path / "factory.db"), "--station", "packing"]
    assert main(["check", code(line, 1), code(line, 2), *place]) == 0
    assert main(["check", code(line, 3), *place, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer == {
        "passed": False,
        "registrationId": read(code(line, 3)).registration_id,
        "batch": NAME,
        "serial": "0003",
        "reason": "it is failed (boot-silent), not good: flash it again",
    }
    assert {event.station for event in checks(line.stations[0])} == {"packing"}


def test_a_wrong_batch_or_ledger_is_said_before_the_first_scan(
    line: Line, tmp_path: Path, capsys
) -> None:
    place = ["--ledger", str(tmp_path / "factory.db")]
    assert main(["check", code(line, 1), "--batch", "mill-9", *place]) == 1
    assert "no batch 'mill-9'" in capsys.readouterr().err
    assert main(["check", code(line, 1), "--ledger", str(tmp_path / "none.db")]) == 1
    assert "there is no ledger" in capsys.readouterr().err
    assert checks(line.stations[0]) == []
