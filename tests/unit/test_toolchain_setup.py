"""The set-up as a whole: order, lines on the screen, lock, one line for what goes wrong."""

import ast
import io
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from host_tools.errors import CommandError
from host_tools.toolchain.host import Host
from host_tools.toolchain.lock import locked
from host_tools.toolchain.log import CommandFailed, Log, masked
from host_tools.toolchain.progress import elapsed
from host_tools.toolchain.setup import set_up

CHECKOUT = Path(__file__).resolve().parents[2]


class Made:
    """A step that counts how often it was made."""

    def __init__(self, label, note=None, error=None):
        self.label = label
        self.note = note
        self.error = error
        self.times = 0

    def missing(self):
        return self.times == 0

    def make(self, log):
        if self.error:
            raise self.error
        self.times += 1
        return self.note


def run(*words, **environ):
    """Run the set-up's own command line in the checkout."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=CHECKOUT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_missing_step_is_made_once_on_a_numbered_line(tmp_path):
    steps, screen = [Made("one"), Made("two")], io.StringIO()
    set_up(steps, tmp_path, screen)
    set_up(steps, tmp_path, screen)
    assert [step.times for step in steps] == [1, 1]
    assert re.sub(r"\d+\.\d s|\d+ s", "# s", screen.getvalue()) == (
        "[1/2] one ... # s\n[2/2] two ... # s\n"
    )


def test_nothing_is_said_or_written_when_all_is_there(tmp_path):
    done, screen = Made("one"), io.StringIO()
    done.times = 1
    set_up([done], tmp_path / "home", screen)
    assert screen.getvalue() == ""
    assert not (tmp_path / "home").exists()


def test_a_note_gets_a_line_of_its_own(tmp_path):
    screen = io.StringIO()
    set_up([Made("one", note="by the way")], tmp_path, screen)
    assert screen.getvalue().endswith("\nby the way\n")


def test_a_failing_step_ends_the_set_up(tmp_path):
    steps, screen = [Made("one", error=CommandError("no")), Made("two")], io.StringIO()
    with pytest.raises(CommandError, match="no"):
        set_up(steps, tmp_path, screen)
    assert screen.getvalue() == "[1/2] one ... failed\n"
    assert steps[1].times == 0


def test_a_second_set_up_waits_for_the_first_and_says_so(tmp_path):
    said = []
    first = ExitStack()
    first.enter_context(locked(tmp_path / "lock", lambda: said.append("first waits")))

    def waiting():
        said.append("second waits")
        first.close()

    with locked(tmp_path / "lock", waiting):
        assert said == ["second waits"]


def test_times_are_said_the_way_people_say_them():
    assert [elapsed(one) for one in (0.04, 6.2, 59.6, 65)] == [
        "0.0 s",
        "6 s",
        "1 min 00 s",
        "1 min 05 s",
    ]


def test_a_commands_whole_output_is_in_the_log(tmp_path):
    log = Log(tmp_path / "setup.log")
    script = "print('first'); print('ERROR: the reason'); print('last'); raise SystemExit(3)"
    with pytest.raises(CommandFailed) as caught:
        log.run([sys.executable, "-c", script])
    assert caught.value.reason("ERROR:") == "ERROR: the reason"
    assert caught.value.reason() == "last"
    assert "first\nERROR: the reason\nlast\n" in log.path.read_text()


def test_a_command_that_is_not_there_is_a_failure_with_a_reason(tmp_path):
    with pytest.raises(CommandFailed) as caught:
        Log(tmp_path / "setup.log").run(["no-such-command"])
    assert caught.value.reason() == "no-such-command: No such file or directory"


def test_passwords_in_addresses_stay_out_of_the_log():
    assert masked("--index-url https://me:secret@index.example/simple") == (
        "--index-url https://***@index.example/simple"
    )


def test_where_debians_packages_do_not_fit_the_sentence_says_what_to_do():
    mac = Host("Darwin", "", "", "", "arm64")
    ubuntu = Host("Linux", "ubuntu", "24.04", "noble", "amd64")
    old = Host("Linux", "debian", "11", "bullseye", "amd64")
    assert "brew install micropython" in mac.advice()
    assert "this is ubuntu 24.04 amd64" in ubuntu.advice()
    assert not any(host.debian() for host in (mac, ubuntu, old))
    assert Host("Linux", "debian", "13", "trixie", "arm64").debian()
    assert Host("Linux", "debian", "", "forky", "amd64").debian()
    assert not Host("Linux", "debian", "13", "trixie", "").debian()


def test_the_set_up_starts_with_nothing_but_the_standard_library():
    done = run("-S", "-m", "host_tools.toolchain", "--help")
    assert done.returncode == 0, done.stderr
    assert "--check" in done.stdout


def test_its_first_file_can_be_read_by_the_pythons_it_has_to_refuse():
    for name in ("__init__.py", "toolchain/__init__.py", "toolchain/__main__.py"):
        ast.parse((CHECKOUT / "host_tools" / name).read_text(), feature_version=(3, 4))


def test_a_folder_that_can_not_be_written_is_one_line():
    done = run("-m", "host_tools.toolchain", KEYSTEAD_TOOLCHAIN="/dev/null/toolchain")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("set-up: /dev/null/toolchain")
    assert line.endswith("Not a directory")
