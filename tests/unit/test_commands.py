"""The `keystead` command as people and scripts use it: output, one-line errors, exit codes."""

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from host_tools import cli
from host_tools.virtual_board.unix_board import UnixBoard
from keystead.record import unpack

GROUP_KEY = (
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
)
NAME = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
DEVICE_KEY = "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
MAC = bytes.fromhex("a1b2c3d4e5f6")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keystead(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return run(*words, stdin="", **environment): exit code, stdout, stderr."""

    def run(*words: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
        monkeypatch.delenv("KEYSTEAD_GROUP_KEY", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = cli.main(words)
        return code, *capsys.readouterr()

    return run


def refused(result: tuple[int, str, str]) -> str:
    """Return the one line of an error: exit code 1, nothing on stdout, no traceback."""
    code, out, error = result
    assert (code, out) == (1, "")
    assert error.count("\n") == 1
    return error


def test_the_articles_key_is_derived(keystead: Run) -> None:
    result = keystead("derive-key", NAME, KEYSTEAD_GROUP_KEY=GROUP_KEY)
    assert result == (0, f"{NAME}\t{DEVICE_KEY}\n", "")


def test_ids_come_from_stdin_and_keys_leave_as_json(keystead: Run, tmp_path: Path) -> None:
    file = tmp_path / "group.key"
    file.touch(0o600)
    file.write_text(GROUP_KEY + "\n")
    words = ("derive-key", "--group-key-file", str(file), "--json")
    code, out, _ = keystead(*words, stdin=f"{NAME}\r\nother\n")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert lines[0] == {"registrationId": NAME, "deviceKey": DEVICE_KEY}
    assert lines[1]["registrationId"] == "other"


def test_a_file_is_preferred_to_the_environment(keystead: Run, tmp_path: Path) -> None:
    file = tmp_path / "group.key"
    file.touch(0o600)
    file.write_text(GROUP_KEY)
    words = ("derive-key", "--group-key-file", str(file), NAME)
    assert DEVICE_KEY in keystead(*words, KEYSTEAD_GROUP_KEY="AAAA")[1]


def test_without_a_group_key_it_says_where_to_put_one(keystead: Run) -> None:
    assert "set KEYSTEAD_GROUP_KEY" in refused(keystead("derive-key", NAME))


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("not base64!", "is not Base64"),
        (GROUP_KEY[:-2], "is not Base64"),
        (GROUP_KEY[:40] + "\n" + GROUP_KEY[40:], "is not Base64"),
        ("QUFBQUFBQUFBQUFBQUFB", "has 15 bytes"),
        ("QUFB" * 21 + "QUE=", "has 65 bytes"),
        ("", "has 0 bytes"),
    ],
)
def test_a_bad_group_key_is_refused_and_not_shown(keystead: Run, key: str, fault: str) -> None:
    error = refused(keystead("derive-key", NAME, KEYSTEAD_GROUP_KEY=key))
    assert fault in error
    assert not key or key not in error


def test_a_group_key_file_that_is_not_there_is_named(keystead: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "none")
    error = refused(keystead("derive-key", "--group-key-file", file, NAME))
    assert f"can not read {file}: No such file" in error


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("Sn-1", "character 'S' at place 1: capitals"),
        ("a.b", "character '.' at place 2"),
        ("ab_c", "character '_' at place 3"),
        ("a" * 129, "has 129 characters, at most 128"),
        ("", "is empty"),
        ("-a", "character '-' at place 1: it must begin with"),
        ("a-", "character '-' at place 2: it must end with"),
        ("a\nb", "character '\\n' at place 2"),
    ],
)
def test_a_bad_registration_id_is_refused_with_character_and_place(
    keystead: Run, name: str, fault: str
) -> None:
    assert fault in refused(keystead("registration-id", f"--check={name}"))
    if not name.startswith("-"):  # that would be an option; from stdin it is an ID
        assert fault in refused(keystead("derive-key", name, KEYSTEAD_GROUP_KEY=GROUP_KEY))
    if "\n" not in name:
        result = keystead("derive-key", stdin=name + "\n", KEYSTEAD_GROUP_KEY=GROUP_KEY)
        assert fault in refused(result)


def test_one_bad_id_stops_all_and_is_named_by_its_line(keystead: Run) -> None:
    ids = "good\nBad\nworse!\n"
    error = refused(keystead("derive-key", stdin=ids, KEYSTEAD_GROUP_KEY=GROUP_KEY))
    assert "ID 2: registration ID 'Bad'" in error
    assert "(and 1 more)" in error


def test_the_services_wider_rule_is_an_option(keystead: Run) -> None:
    code, out, _ = keystead("registration-id", "--rule", "service", "--check", "Dev:01.a_b-")
    assert (code, out) == (0, "Dev:01.a_b-\n")


def test_a_registration_id_is_made_from_serial_and_mac(keystead: Run) -> None:
    words = ("registration-id", "--serial", "007-888-abc", "--mac", "A1:B2:C3:D4:E5:F6")
    assert keystead(*words) == (0, NAME + "\n", "")
    assert json.loads(keystead(*words, "--json")[1]) == {"registrationId": NAME}
    assert keystead(*words, "--template", "pump-{mac}")[1] == "pump-a1-b2-c3-d4-e5-f6\n"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--serial", "1"], "the template wants a mac: give --mac"),
        (["--mac", "a1b2c3d4e5f6"], "the template wants a serial: give --serial"),
        (["--serial", "1", "--mac", "a1:b2"], "write six bytes in hex"),
        (["--serial", "A", "--mac", "a1b2c3d4e5f6"], "character 'A' at place 4: capitals"),
        (["--template", "{oops}"], "character '{' at place 1"),
    ],
)
def test_what_is_missing_for_a_registration_id_is_named(
    keystead: Run, words: list[str], fault: str
) -> None:
    assert fault in refused(keystead("registration-id", *words))


def test_a_record_file_holds_the_identity_and_only_its_owner_reads_it(
    keystead: Run, tmp_path: Path
) -> None:
    file = tmp_path / "record.bin"
    words = ("record", "--id-scope", "0ne1", "--serial", "007-888-abc", "--mac", MAC.hex())
    code, out, _ = keystead(*words, "--output", str(file), KEYSTEAD_GROUP_KEY=GROUP_KEY)
    assert code == 0
    assert NAME in out
    assert unpack(file.read_bytes(), MAC).registration_id == NAME
    assert file.stat().st_mode & 0o777 == 0o600
    again = refused(keystead(*words, "--output", str(file), KEYSTEAD_GROUP_KEY=GROUP_KEY))
    assert "exists: move it away first" in again


def test_the_record_script_installs_itself_on_the_board_it_is_for(
    keystead: Run, tmp_path: Path
) -> None:
    words = ("record", "--id-scope", "0ne1", "--registration-id", "bench-1", "--individual")
    words += ("--mac", MAC.hex(), "--endpoint", "bench.local:18883")
    code, script, _ = keystead(*words, KEYSTEAD_DEVICE_KEY=DEVICE_KEY)
    assert code == 0
    board = UnixBoard(tmp_path, MAC)
    board.install({})
    printed = _run_on(board, script)
    assert printed == "factory record of bench-1 installed, 81 bytes\n"
    blob = (tmp_path / "nvs" / "keystead" / "record.blob").read_bytes()
    assert unpack(blob, MAC).endpoint == "bench.local:18883"
    board.mac = bytes(6)
    assert "this board has MAC 000000000000" in _run_on(board, script)


def _run_on(board: UnixBoard, script: str) -> str:
    """Run a script on a board as `mpremote run` does; return what it prints."""
    file = board.folder / "script.py"
    file.write_text(script)
    command = board.command()[:-2]
    result = subprocess.run(
        [*command, str(file)],
        cwd=board.flash,
        env=board.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return result.stdout + result.stderr


def test_an_individual_enrollment_wants_its_own_key(keystead: Run) -> None:
    words = ("record", "--id-scope", "0ne1", "--registration-id", "a", "--mac", MAC.hex())
    assert "KEYSTEAD_DEVICE_KEY" in refused(keystead(*words, "--individual"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--id-scope", ""),
        ("--id-scope", "0ne/1"),
        ("--id-scope", "0n\u00e9"),
        ("--id-scope", "0" * 300),
        ("--endpoint", "https://dps"),
        ("--endpoint", "dps:port"),
        ("--endpoint", "d" * 300),
        ("--mac", "a1:b2"),
        ("--registration-id", "Capital"),
    ],
)
def test_a_part_of_an_identity_that_can_not_be_right_is_named(
    keystead: Run, option: str, value: str, tmp_path: Path
) -> None:
    words = {"--id-scope": "0ne1", "--mac": MAC.hex(), "--registration-id": "a", option: value}
    words["--output"] = str(tmp_path / "record.bin")
    flat = [word for pair in words.items() for word in pair]
    error = refused(keystead("record", *flat, KEYSTEAD_GROUP_KEY=GROUP_KEY))
    assert value[:10] in error
    assert not (tmp_path / "record.bin").exists()


def test_a_full_disk_is_one_line() -> None:
    command = f"{shlex.quote(sys.executable)} -m host_tools derive-key a > /dev/full"
    environment = {**os.environ, "KEYSTEAD_GROUP_KEY": GROUP_KEY}
    result = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == "keystead derive-key: No space left on device\n"


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("--cloud", "nowhere", "write HOST:PORT"),
        ("--cloud", "127.0.0.1:\u00b2", "write HOST:PORT"),
        ("--cloud", "127.0.0.1:70000", "write HOST:PORT"),
        ("--heap", "abc", "write bytes, e.g. 65536, 64k or 1m"),
        ("--heap", "-5", "write bytes"),
        ("--app", "nowhere/app.py", "nowhere/app.py: No such file"),
    ],
)
def test_an_option_of_boot_that_can_not_be_right_is_named(
    keystead: Run, option: str, value: str, fault: str
) -> None:
    words = ("boot", "--id-scope", "0ne1", "--registration-id", "a", "--mac", MAC.hex())
    result = keystead(*words, f"{option}={value}", KEYSTEAD_GROUP_KEY=GROUP_KEY)
    assert fault in refused(result)


def test_a_file_without_end_is_not_read_to_its_end(keystead: Run) -> None:
    error = refused(keystead("derive-key", "--group-key-file", "/dev/zero", NAME))
    assert "the group key in /dev/zero is not Base64" in error


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("derive-key <&-", 1, "no registration ID"),
        ("derive-key a >&-", 0, ""),
        ("derive-key a >&- 2>&-", 0, ""),
        ("check a --ledger absent.db >&-", 1, "there is no ledger at absent.db"),
        ("derive-key é", 1, r"registration ID '\xe9'"),
        ("derive-key $X", 2, r"b'\xff' is not UTF-8"),
        ("derive-key <<< $X", 1, r"registration ID '\ufffd'"),
        ("check --ledger $X", 2, r"b'\xff' is not UTF-8"),
    ],
)
def test_closed_streams_and_odd_bytes_are_one_line_at_most(
    words: str, code: int, said: str
) -> None:
    environment = {
        **os.environ, "KEYSTEAD_GROUP_KEY": GROUP_KEY, "PYTHONIOENCODING": "ascii:strict",
    }  # fmt: skip
    result = subprocess.run(
        ["bash", "-c", f"X=$'\\377'; {shlex.quote(sys.executable)} -m host_tools {words}"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout and code) == (code, ""), result.stderr
    assert said in result.stderr
    assert result.stderr.count("\n") <= 1


def test_a_file_without_certificates_is_refused(keystead: Run, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    error = refused(keystead("firmware", str(tmp_path / "out"), "--ca", str(file)))
    assert "holds no PEM certificate" in error


def test_azures_roots_go_into_the_firmware(keystead: Run, tmp_path: Path) -> None:
    assert keystead("firmware", str(tmp_path / "out"))[0] == 0
    roots = sorted(path.name for path in (tmp_path / "out" / "certs").iterdir())
    assert roots == ["digicert-global-root-g2.der", "microsoft-rsa-root-2017.der"]


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_explains_itself_in_80_columns(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, "--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 6
    assert [line for line in lines if len(line) > 80] == []


def test_no_verb_is_wrong_usage(keystead: Run) -> None:
    code, out, _ = keystead()
    assert code == 2
    assert "derive-key" in out


def test_a_reader_that_has_enough_is_no_error_to_talk_about() -> None:
    ids = "\n".join(f"id-{number}" for number in range(20_000))
    command = f"{shlex.quote(sys.executable)} -m host_tools derive-key | head -n 1"
    environment = {**os.environ, "KEYSTEAD_GROUP_KEY": GROUP_KEY}
    result = subprocess.run(
        command, shell=True, input=ids, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    assert result.stdout.startswith("id-0\t")


def test_no_option_takes_a_key_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("derive-key", "record", "boot", "cloud"):
        with pytest.raises(SystemExit):
            cli.main([verb, "--help"])
    options = {word for word in capsys.readouterr().out.split() if word.startswith("--")}
    assert {word for word in options if "key" in word} == {
        "--group-key-file", "--key-source", "--secondary-group-key-file",
        "--secondary-key-source", "--show-keys",
    }  # fmt: skip
