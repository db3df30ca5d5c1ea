"""What other parts start: MicroPython, umqtt.simple, mpy-cross."""

from pathlib import Path

import pytest

from host_tools.errors import CommandError
from host_tools.toolchain import micropython
from host_tools.toolchain.architectures import AMD64, I386
from host_tools.toolchain.micropython import Build


def test_a_64_bit_build_is_known_by_its_small_numbers():
    assert micropython.parse("1 25 0 9223372036854775807\n") == Build((1, 25, 0), 64)


def test_a_32_bit_build_is_known_by_its_small_numbers():
    assert micropython.parse("1 26 1 2147483647\n") == Build((1, 26, 1), 32)


def test_other_programs_are_no_micropython():
    for answer in ("", "1 25 0", "Python 3 11 7", "1 25 0 -1"):
        assert micropython.parse(answer) is None


def test_versions_compare_as_numbers():
    assert Build((1, 9, 4), 64).version < micropython.OLDEST <= Build((1, 24, 0), 64).version
    assert str(Build((1, 25, 0), 64)) == "1.25.0"


def test_a_program_that_does_not_start_says_nothing():
    assert micropython.ask(["/no/such/micropython"]) is None


def test_a_program_that_is_asked_gets_no_key(tmp_path, monkeypatch):
    program = tmp_path / "micropython"
    program.write_text('#!/bin/sh\ntest -z "$KEYSTEAD_GROUP_KEY" && echo 1 26 0 2147483648000\n')
    program.chmod(0o700)
    monkeypatch.setenv("KEYSTEAD_GROUP_KEY", "a canary")
    assert micropython.ask([str(program)]) == Build((1, 26, 0), 64)


def test_each_architecture_starts_through_its_own_loader():
    folder = Path("/x")
    assert AMD64.command(folder)[0] == "/x/root-amd64/usr/lib64/ld-linux-x86-64.so.2"
    assert I386.command(folder) == [
        "/x/root-i386/usr/lib/ld-linux.so.2",
        "--library-path",
        "/x/root-i386/usr/lib/i386-linux-gnu",
        "/x/root-i386/usr/bin/micropython",
    ]


def test_a_version_of_umqtt_that_is_not_here_names_the_set_up():
    with pytest.raises(CommandError, match=r"umqtt.simple 0\.0 is not set up .* `make setup`"):
        micropython.umqtt("0.0")


def test_outside_a_checkout_the_set_up_is_run_by_the_python_at_hand(monkeypatch):
    monkeypatch.setattr(micropython.places, "checkout", lambda: None)
    monkeypatch.setattr(micropython.sys, "executable", "/a venv/bin/python")
    with pytest.raises(CommandError, match=r"`'/a venv/bin/python' -m host_tools\.toolchain`"):
        micropython.umqtt("0.0")


def test_mpy_cross_is_a_program_that_is_there():
    (program,) = micropython.mpy_cross()
    assert Path(program).is_file()


@pytest.mark.parametrize("bits", [64, 32])
def test_the_interpreter_of_each_role_starts(bits):
    build = micropython.ask(micropython.interpreter(bits))
    assert build is not None
    assert build.version >= micropython.OLDEST
    assert build.bits == bits or micropython.stands_in(bits)
