"""Where the group key may be: every place derives the same, and the key is seen nowhere else."""

import argparse
import base64
import contextlib
import errno
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import key_sources, keys
from host_tools.derive_many import cores
from host_tools.errors import CommandError
from host_tools.key_sources import HeldKey, open_source, shield
from tests.factory.keys_bench import (
    CANARY,
    CANARY_TEXT,
    DEVICE_KEY,
    NAME,
    clean,
    family,
    key_file,
    keystead,
    seen_in,
    told_of,
)  # fmt: skip

DERIVED = base64.b64decode(DEVICE_KEY)
KEYRING = "tests.factory.keyring_in_memory.Keyring"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
# with this terminal as its own, where getpass() asks
AT_A_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("host_tools", run_name="__main__")
"""


@pytest.fixture(autouse=True)
def _no_key_of_ours(monkeypatch):
    for name in ("KEYSTEAD_GROUP_KEY", "KEYSTEAD_KEY_SOURCE", "KEYSTEAD_PIN"):
        monkeypatch.delenv(name, raising=False)


def refusal(place):
    """Return what is said when a source does not open; it never says the canary."""
    with pytest.raises(CommandError) as error:
        open_source(place)
    assert seen_in(str(error.value).encode()) == []
    assert "\n" not in str(error.value)
    return str(error.value)


def derived(place):
    """Return the device key that a place's key gives, and look at what the source shows."""
    with open_source(place) as source:
        assert (
            seen_in(source.label.encode(), repr(source).encode(), repr(vars(source)).encode())
            == []
        )
        return source.derive(NAME)


def test_a_held_key_derives_as_the_article_does():
    group_key = keys.decode_key(
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
        "it",
    )
    with HeldKey(group_key, "it") as source:
        assert (
            keys.encode_key(source.derive(NAME)) == "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
        )


@given(st.binary(min_size=16, max_size=64), st.lists(st.text(max_size=130), max_size=5))
def test_the_fast_way_and_the_plain_way_derive_the_same(key, names):
    plain = [keys.derive_device_key(key, name) for name in names]
    assert keys.Deriver(key).many([name.encode() for name in names]) == plain


@given(st.binary(max_size=70), st.sampled_from(["", "\n", " \r\n"]))
def test_a_key_is_decoded_whole_or_refused(key, end):
    text = base64.b64encode(key).decode() + end
    if len(key) in keys.SIZES:
        assert keys.decode_key(text, "it") == key
    else:
        with pytest.raises(CommandError, match=f"it has {len(key)} bytes"):
            keys.decode_key(text, "it")


@given(st.text("ABab01+/=-_ \n", max_size=100))
def test_what_is_taken_for_base64_is_what_the_standard_decoder_takes(text):
    try:
        wanted = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        wanted = b""
    try:
        assert keys.decode_key(text, "it") == wanted
    except CommandError:
        assert len(wanted) not in keys.SIZES


def test_a_fingerprint_says_nothing_of_the_key_and_is_always_the_same():
    found = keys.fingerprint(DERIVED)
    assert re.fullmatch("[0-9a-f]{64}", found)
    assert found == keys.fingerprint(DERIVED) != keys.fingerprint(bytes(32))


def test_keys_that_nobody_reads_are_taken_out_of_the_environment_all_the_same(monkeypatch):
    ours = ("GROUP_KEY", "PIN", "DEVICE_KEY", "DPS_CONNECTION_STRING")
    named = ("FIRST", "SECOND", "USUAL", "ANOTHER")
    for name in (*(f"KEYSTEAD_{word}" for word in ours), *named):
        monkeypatch.setenv(name, CANARY_TEXT)
    monkeypatch.setenv("KEYSTEAD_KEY_SOURCE", "env:USUAL")
    given = {"key_source": "env:FIRST", "secondary_key_source": "env:SECOND"}
    key_sources.forget(argparse.Namespace(**given))
    assert [name for name, text in os.environ.items() if CANARY_TEXT in text] == ["ANOTHER"]
    key_sources.forget(argparse.Namespace(key_source="file:x", secondary_key_source=None))


def test_a_program_that_is_not_ours_gets_no_variable_of_ours(monkeypatch):
    for name in ("KEYSTEAD_GROUP_KEY", "KEYSTEAD_ANY", "PGPASSWORD", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, CANARY_TEXT)
    given = shield.for_others(PLACE="x")
    assert seen_in(repr(given).encode()) == []
    assert (given["PLACE"], given["PATH"]) == ("x", os.environ["PATH"])


def test_a_file_that_begins_with_a_byte_order_mark_is_read_as_any(tmp_path):
    file = key_file(tmp_path)
    file.write_bytes(b"\xef\xbb\xbf" + CANARY_TEXT.encode() + b"\r\n")
    assert derived(f"file:{file}") == DERIVED


@pytest.mark.parametrize("text", [CANARY_TEXT, CANARY_TEXT[:-4] + "!", CANARY_TEXT[:8]])
def test_a_text_that_can_be_overwritten_is_whether_it_was_a_key_or_not(text):
    raw = bytearray(text.encode())
    with contextlib.suppress(CommandError):
        HeldKey.from_text(raw, "it")
    assert raw == bytes(len(text))


def test_a_closed_source_derives_no_more():
    source = HeldKey(CANARY, "it")
    source.close()
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.derive(NAME)


def test_from_the_environment_and_no_child_inherits_it(monkeypatch):
    monkeypatch.setenv("MILL_KEY", CANARY_TEXT)
    assert derived("env:MILL_KEY") == DERIVED
    assert "MILL_KEY" not in os.environ


def test_without_a_place_it_is_in_the_usual_variable(monkeypatch):
    monkeypatch.setenv("KEYSTEAD_GROUP_KEY", CANARY_TEXT)
    assert derived(None) == DERIVED


def test_a_variable_names_the_place_for_all_commands(monkeypatch, tmp_path):
    monkeypatch.setenv("KEYSTEAD_KEY_SOURCE", f"file:{key_file(tmp_path)}")
    assert derived(None) == DERIVED


def test_from_a_file_that_is_ours_alone(tmp_path):
    assert derived(f"file:{key_file(tmp_path)}") == DERIVED


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_that_others_may_open_is_refused_with_what_to_type(tmp_path, mode):
    file = key_file(tmp_path)
    file.chmod(mode)
    assert refusal(f"file:{file}") == (
        f"{file} holds a secret and others may read it (mode {mode:04o}): "
        f"run `chmod 600 {file}`, then try again"
    )


def test_a_pipe_is_taken_whatever_its_mode():
    reader, writer = os.pipe()
    os.write(writer, CANARY_TEXT.encode())
    os.close(writer)
    os.fchmod(reader, 0o644)
    assert derived(f"file:/dev/fd/{reader}") == DERIVED
    os.close(reader)


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    key_file(tmp_path)
    assert derived("file:~/group.key") == DERIVED


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("env:NONE", "the environment has no variable NONE"),
        ("env:", "takes a variable's name"),
        ("env:no-name", "takes a variable's name"),
        ("file:", "takes a file's name"),
        ("file:/none/of.key", "can not read /none/of.key: No such file"),
        ("file:/", "can not read /: Is a directory"),
        ("file:/dev/zero", "the group key in /dev/zero is not Base64"),
        ("keyring:mill", "takes what `keyring set SERVICE USER` was given"),
        ("keyvault:contoso/dps", "takes a secret's identifier"),
        ("keyvault:http://contoso.vault.azure.net/secrets/dps", "takes a secret's identifier"),
        ("keyvault:https://a@contoso.vault.azure.net/secrets/dps", "takes a secret's identifier"),
        ("nowhere", "a key source names a place, never a key: write env:NAME"),
        ("vault:x", "a key source names a place"),
        (CANARY_TEXT, "a key source names a place"),
        (f"env:{CANARY_TEXT}", "takes a variable's name"),
        (f"keyvault:{CANARY_TEXT}", "takes a secret's identifier"),
    ],
)
def test_a_place_that_can_not_be_right_is_one_line(place, fault):
    assert fault in refusal(place)


def test_a_key_that_is_no_key_is_not_repeated(monkeypatch):
    monkeypatch.setenv("MILL_KEY", CANARY_TEXT[:-3])
    assert refusal("env:MILL_KEY").startswith("the group key in MILL_KEY is not Base64")


def test_a_place_named_twice_is_refused(tmp_path):
    file = str(key_file(tmp_path))
    done = keystead("derive-key", NAME, "--group-key-file", file, "--key-source", f"file:{file}")
    assert done.returncode == 1
    assert "give --key-source or --group-key-file, not both" in done.stderr


def test_a_second_key_comes_from_a_second_place(tmp_path):
    parser = argparse.ArgumentParser()
    key_sources.add_arguments(parser, secondary=True)
    args = parser.parse_args(["--secondary-group-key-file", str(key_file(tmp_path))])
    with key_sources.secondary_from_arguments(args) as source:
        assert source.derive(NAME) == DERIVED
    assert key_sources.secondary_from_arguments(parser.parse_args([])) is None


@pytest.mark.filterwarnings("ignore")
def test_from_the_keyring(tmp_path):
    kept = tmp_path / "keyring.json"
    kept.write_text(json.dumps({"mill/dps": CANARY_TEXT}))
    environ = {"PYTHON_KEYRING_BACKEND": KEYRING, "TEST_KEYRING": str(kept)}
    done = keystead("derive-key", NAME, "--key-source", "keyring:mill/dps", **environ)
    assert (done.stdout, done.stderr) == (f"{NAME}\t{DEVICE_KEY}\n", "")
    other = keystead("derive-key", NAME, "--key-source", "keyring:mill/other", **environ)
    assert "put the group key there with `keyring set mill other`" in other.stderr


@pytest.mark.parametrize(
    ("backend", "fault"),
    [
        (KEYRING, "the keyring is locked: unlock it"),
        ("keyring.backends.fail.Keyring", "there is no keyring in this session"),
    ],
)
def test_a_keyring_that_gives_nothing_is_one_line(backend, fault):
    words = ("derive-key", NAME, "--key-source", "keyring:mill/dps")
    done = keystead(*words, PYTHON_KEYRING_BACKEND=backend)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert fault in done.stderr


def test_an_extra_that_is_not_installed_is_named(tmp_path):
    # a folder before site-packages that can not be imported from
    (tmp_path / "keyring").mkdir()
    (tmp_path / "keyring" / "__init__.py").write_text("raise ImportError('not here')")
    words = ("derive-key", NAME, "--key-source", "keyring:mill/dps")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = keystead(*words, PYTHONPATH=path)
    assert done.returncode == 1
    assert "run `pip install 'keystead[keyring]'`" in done.stderr


def at_a_terminal(words, typed):
    """Run a command with a terminal of its own; type when it asks; return all it showed."""
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, *words],
        stdin=theirs, stdout=theirs, stderr=theirs, env=clean(), start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while block := _read(terminal):
        shown += block
        if shown.endswith(b"(Base64, not shown): "):
            # the echo is off before it asks: what is typed now is not shown
            assert not termios.tcgetattr(terminal)[3] & termios.ECHO
            os.write(terminal, typed.encode() + b"\n")
    os.close(terminal)
    return process.wait(), shown.decode()


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError as error:  # Linux's way to say that the other side is closed
        assert error.errno == errno.EIO
        return b""


@pytest.mark.parametrize("place", [(), ("--key-source", "prompt:")])
def test_a_person_types_it_unseen(place):
    code, shown = at_a_terminal(["derive-key", NAME, *place], CANARY_TEXT)
    assert code == 0
    assert f"{NAME}\t{DEVICE_KEY}" in shown
    assert seen_in(shown.encode()) == []


def test_with_nobody_to_ask_it_says_so():
    for words in (("derive-key", NAME), ("derive-key", NAME, "--key-source", "prompt:")):
        done = keystead(*words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "no group key" in done.stderr or "no terminal" in done.stderr


HOLDS = """
import os, sys
from host_tools.key_sources import open_source
source = open_source(sys.argv[1])
print(source.derive("a").hex(), flush=True)
sys.stdin.read()
{then}
"""


def holding(place, then="", **environ):
    """Start a process that holds a source open until its stdin is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS.format(then=then), place],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean(**environ),
    )  # fmt: skip


@LINUX
def test_a_process_with_an_open_source_leaves_no_core(tmp_path):
    # resource.setrlimit() up again is refused: the hard limit went down with the soft one
    process = holding(f"file:{key_file(tmp_path)}", then="os.abort()")
    assert process.stdout.readline()
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    process.stdin.close()
    code = process.wait()
    process.stdout.close()
    assert -code == signal.SIGABRT


@LINUX
def test_a_process_with_an_open_source_can_be_looked_into_by_root_alone(tmp_path):
    # that its files in /proc are root's then would tell nothing where root runs this: prctl(2)
    then = "import ctypes\nprint(ctypes.CDLL(None).prctl(3))  # PR_GET_DUMPABLE"
    process = holding(f"file:{key_file(tmp_path)}", then=then)
    said, _ = process.communicate()
    assert said.split()[1] == b"0"


@LINUX
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read this process's memory")
def test_a_key_from_a_file_is_not_even_in_memory_once_the_source_is_open(tmp_path):
    process = holding(f"file:{key_file(tmp_path)}")
    assert process.stdout.readline()
    memory = _memory(process.pid)
    process.communicate()
    assert keys.derive_device_key(CANARY, "a").hex().encode() in memory  # it did look
    pads = [bytes(byte ^ pad for byte in CANARY) for pad in (0x36, 0x5C)]
    assert [form for form in pads if form in memory] + seen_in(memory) == []


def _memory(process):
    found = []
    with open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            begin, end, rights = re.match("([0-9a-f]+)-([0-9a-f]+) (....)", line).groups()
            if rights.startswith("rw"):
                memory.seek(int(begin, 16))
                found.append(memory.read(int(end, 16) - int(begin, 16)))
    return b"".join(found)


@LINUX
@pytest.mark.parametrize("source", ["env:MILL_KEY", "file"])
def test_the_group_key_is_seen_nowhere_while_many_keys_are_derived(tmp_path, source):
    environ = {"MILL_KEY": CANARY_TEXT} if source != "file" else {}
    place = source if source != "file" else f"file:{key_file(tmp_path)}"
    temporary, home = tmp_path / "tmp", tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    names = [f"sn-{number}" for number in range(200_000)]
    command = [sys.executable, "-m", "host_tools", "derive-key", "--csv", "--key-source", place]
    with open(tmp_path / "ids", "w") as ids:
        ids.write("\n".join(names))
    with (
        open(tmp_path / "ids", "rb") as ids,
        subprocess.Popen(
            command, stdin=ids, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean(TMPDIR=str(temporary), HOME=str(home), **environ),
        ) as process,
    ):  # fmt: skip
        # with the first key it is in the midst of it, and stays there until we read on
        head = process.stdout.readline() + process.stdout.readline()
        relatives = list(family(process.pid))
        arguments = told_of(relatives)
        children = [Path(f"/proc/{one}/environ").read_bytes() for one in _started(relatives)]
        out, error = process.stdout.read(), process.stderr.read()
    lines = (head + out).decode().splitlines()
    assert lines[0] == "registration_id,device_key"
    assert [line.split(",")[0] for line in lines[1:]] == names
    assert lines[200_000].split(",")[1] == keys.encode_key(
        keys.derive_device_key(CANARY, names[-1])
    )
    assert process.returncode == 0
    assert b"derive-key" in arguments
    assert len(relatives) > 1 or cores() == 1
    files = [file.read_bytes() for place in (temporary, home) for file in place.rglob("*")]
    assert seen_in(head, out, error, arguments, *children, *files) == []


# a process that was forked, not started, still shows the environment its parent was started with
def _started(processes):
    first = Path(f"/proc/{processes[0]}/cmdline").read_bytes()
    return [one for one in processes if Path(f"/proc/{one}/cmdline").read_bytes() != first]


def test_keys_go_into_a_file_that_only_we_read(tmp_path):
    file = tmp_path / "keys.csv"
    words = ("derive-key", NAME, "--csv", "--output", str(file))
    source = ("--key-source", f"file:{key_file(tmp_path)}")
    done = keystead(*words, *source)
    assert (done.returncode, done.stdout) == (0, f"{file}: 1 device keys\n")
    assert file.read_text() == f"registration_id,device_key\n{NAME},{DEVICE_KEY}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = keystead(*words, *source)
    assert "exists: move it away first" in again.stderr
