"""An application that fails at its start: what a station sees of it, and when."""

from pathlib import Path

import pytest

from host_tools import cli, keys
from host_tools.batch import Batch, units_from_range
from host_tools.flash.console import Application, Boot, Registration
from host_tools.flash.failure import FlashFailure
from host_tools.ledger import open_ledger
from host_tools.virtual_board import farm
from host_tools.virtual_board.board_setting import BoardSetting

MAC = bytes.fromhex("a0b1c2d3e4f5")
STARTED = f"[   0.15] keystead 0.1.0, MAC {MAC.hex(':')}"
TRACEBACK = (
    "[   9.10] Traceback (most recent call last):",
    '[   9.10]   File "rim/start.py", line 1, in _serve',
    '[   9.10]   File "app.py", line 7, in run',
    "[   9.10] ImportError: no module named 'valve'",
)
BROKEN = "[   9.12] FAILURE 92 app-broken: ImportError(\"no module named 'valve'\",)"


def refusal(watch: Application | Boot | Registration, *lines: str) -> FlashFailure:
    with pytest.raises(FlashFailure) as caught:
        for line in lines:
            assert not watch.take(line)
    return caught.value


@pytest.mark.parametrize("watch", [Application(), Registration(), Boot(MAC, "sn-1", "0.1.0")])
def test_a_traceback_is_an_applications_fault_and_told_with_its_place(
    watch: Application | Boot | Registration,
) -> None:
    failure = refusal(watch, STARTED, *TRACEBACK, BROKEN)
    assert failure.reason == "app-broken"
    assert failure.detail.endswith("ImportError(\"no module named 'valve'\",) (app.py, line 7)")


def test_an_application_that_is_too_large_is_no_fault_of_the_board() -> None:
    failure = refusal(Application(), "[   9.10] FAILURE 12 out-of-memory: app.py: no room")
    assert failure.reason == "app-broken"
    failure = refusal(Application(), "[   9.10] FAILURE 12 out-of-memory: 100 bytes free")
    assert failure.reason == "boot-failed"


def test_a_firmware_that_ends_by_an_exception_is_told_apart() -> None:
    assert refusal(Boot(MAC, "sn-1", "0.1.0"), TRACEBACK[-1][10:]).reason == "boot-failed"
    assert not Boot(MAC, "sn-1", "0.1.0").take(TRACEBACK[-1])


@pytest.mark.parametrize("watch", [Application(), Registration()])
def test_what_an_application_prints_of_its_own_is_no_trouble(
    watch: Application | Registration,
) -> None:
    assert not watch.take("MemoryError: caught, and gone on")
    assert refusal(watch, "Guru Meditation Error: Core  0 panic'ed").reason == "boot-failed"


def test_nothing_more_is_waited_for_where_no_application_runs() -> None:
    for line in ("FAILURE 91 app-absent", "app.py returned; staying connected"):
        assert Application().take(f"[   9.10] {line}")
        assert not Boot(MAC, "sn-1", "0.1.0").take(f"[   9.10] {line}")
    assert not Application().take("[   9.10] FAILURE 33 wifi-lost")
    assert not Application().take("app.py returned; staying connected")


def test_one_with_a_journal_is_seen_before_there_is_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key.txt").write_text(keys.encode_key(bytes(range(40, 80))))
    Path("key.txt").chmod(0o600)
    Path("config.json").write_text('{"wifi": [{"ssid": "none"}], "journal": {}}')
    Path("app.py").write_text("def run(device):\n    valve.open()\n")
    with open_ledger("ledger.db", create=True) as book:
        book.create_batch(
            Batch("pilot", "ESP32_GENERIC_C3", "0ne00002193"), units_from_range("1..9")
        )
    with farm.started([BoardSetting(mac=MAC)]) as (board,):
        words = ["flash", "--ledger", "ledger.db", "--batch", "pilot", "--port", board.urls[0]]
        words += [
            "--stand-in",
            "--config",
            "config.json",
            "--app",
            "app.py",
            "--group-key-file",
            "key.txt",
        ]
        assert cli.main(words) == 1
        said = capfd.readouterr().out
        assert "FAILED app-broken at step boot: the board says: 92 app-broken: NameError(" in said
        assert "(app.py, line 2): mend app.py" in said
        Path("app.py").write_text("def run(device):\n    device.wait(1)\n")
        assert cli.main(words) == 0
