"""Many device keys at once: in order, all or none, on several processes, in little memory."""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import derive_many, id_list, keys
from host_tools.derive_many import FORMS
from host_tools.errors import CommandError
from host_tools.key_sources import HeldKey
from tests.factory.keys_bench import (
    CANARY,
    CANARY_TEXT,
    DEVICE_KEY,
    NAME,
    clean,
    family,
    keystead,
)

ENOUGH = derive_many.WORTHWHILE  # for more than one process
SEVERAL = pytest.mark.skipif(derive_many.cores() < 2, reason="one process derives on this machine")
COMMAND = [sys.executable, "-m", "host_tools", "derive-key"]
KEYS = clean(KEYSTEAD_GROUP_KEY=CANARY_TEXT)
WAIT = 30  # seconds at most for what other processes do


def names(count):
    return [f"sn-{number:07}-mac-a0-b1-c2-d3-e4-f5" for number in range(count)]


def line(name, apart="\t"):
    return f"{name}{apart}{keys.encode_key(keys.derive_device_key(CANARY, name))}"


@given(
    st.lists(st.lists(st.text("ab-", min_size=1, max_size=3), min_size=1, max_size=9), max_size=4)
)
def test_every_id_gets_its_key_in_its_place(blocks):
    raw = ["\n".join(block).encode() for block in blocks]
    with HeldKey(CANARY, "it") as source:
        text = b"".join(derive_many.texts(source, raw, FORMS["csv"]))
    assert text.decode().splitlines() == [line(name, ",") for block in blocks for name in block]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # pytest's own threads
@pytest.mark.parametrize("processes", [1, 2, 5])
def test_processes_keep_the_order(processes):
    found = names(50_000)
    starts = range(0, 50_000, 7000)
    blocks = ["\n".join(found[start : start + 7000]).encode() for start in starts]
    with HeldKey(CANARY, "it") as source:
        text = b"".join(derive_many.texts(source, blocks, FORMS["tsv"], processes))
    assert [one.partition("\t")[0] for one in text.decode().splitlines()] == found
    assert text.decode().splitlines()[::4999] == [line(name) for name in found[::4999]]


class Token:
    """A source that is asked for one key after the other, as a token is."""

    label = "a token"

    def derive(self, registration_id):
        return keys.derive_device_key(CANARY, registration_id)


def test_a_token_is_asked_for_each():
    text = b"".join(derive_many.texts(Token(), [b"a\nb"], FORMS["tsv"], 2))
    assert text.decode().splitlines() == [line("a"), line("b")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_list_is_read_with_any_newlines(end, mark):
    text = mark + end.join([NAME, "b", "c"])
    for whole in (text, text + end):
        done = keystead("derive-key", stdin=whole, KEYSTEAD_GROUP_KEY=CANARY_TEXT)
        assert done.stdout.splitlines() == [line(NAME), line("b"), line("c")]


@given(st.lists(st.text("ab-", max_size=4), max_size=9), st.sampled_from(["\n", "\r\n"]))
def test_blocks_hold_what_the_lines_hold(lines, end):
    text = end.join(lines).encode()
    blocks = id_list.blocks(io.BytesIO(text))
    found = [name for block in blocks for name in block.split(b"\n")]
    assert found == text.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n") * bool(text)


def test_a_list_without_end_or_lines_is_refused():
    with open("/dev/zero", "rb") as endless:
        done = subprocess.run(
            COMMAND, stdin=endless, capture_output=True, text=True, env=KEYS, check=False
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert "a line has more than 262144 characters" in done.stderr


def test_an_empty_list_gives_nothing():
    done = keystead("derive-key", "--csv", KEYSTEAD_GROUP_KEY=CANARY_TEXT)
    assert (done.returncode, done.stdout) == (0, "registration_id,device_key\n")


def test_one_bad_id_among_many_stops_all_before_the_first_key(tmp_path):
    found = names(40_000)
    found[39_000] = "Bad"
    found[39_500] = "-"
    file = tmp_path / "keys.csv"
    words = ("derive-key", "--output", str(file))
    done = keystead(*words, stdin="\n".join(found), KEYSTEAD_GROUP_KEY=CANARY_TEXT)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ID 39001: registration ID 'Bad'" in done.stderr
    assert "(and 1 more)" in done.stderr
    assert not file.exists()


def test_json_has_the_same_keys():
    done = keystead("derive-key", NAME, "b", "--json", KEYSTEAD_GROUP_KEY=CANARY_TEXT)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {"registrationId": NAME, "deviceKey": DEVICE_KEY}
    assert second["registrationId"] == "b"


def test_no_half_of_a_file_is_left_when_the_disk_is_full(tmp_path):
    # a limit on a file's size is what a full disk is to the one who writes
    program = (
        "import resource, runpy, signal\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "runpy.run_module('host_tools', run_name='__main__')\n"
    )
    file = tmp_path / "keys.csv"
    done = subprocess.run(
        [sys.executable, "-c", program, "derive-key", "--output", str(file)],
        input="\n".join(names(20_000)), capture_output=True, text=True, env=KEYS, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert f"can not write {file}: File too large" in done.stderr
    assert not file.exists()


@pytest.fixture
def midway(tmp_path):
    """A command that is deriving on several processes, and waits for us to read on."""
    (tmp_path / "ids").write_text("\n".join(names(2 * ENOUGH)))
    with (
        open(tmp_path / "ids", "rb") as ids,
        subprocess.Popen(
            COMMAND, stdin=ids, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=KEYS,
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        assert process.stdout.readline().startswith(b"sn-0000000")
        yield process
        process.kill()


def read_out(process):
    process.stdout.read()
    return process.stderr.read().decode(), process.wait()


def alive(process):
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter if it goes while it is read
        return False


@SEVERAL
def test_a_process_that_is_ended_from_outside_is_told(midway):
    _, child, *_ = family(midway.pid)
    os.kill(child, signal.SIGKILL)
    error, code = read_out(midway)
    assert (code, error.count("\n")) == (1, 1)
    assert "a process that derives keys was ended" in error


@SEVERAL
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # pytest's own threads
def test_a_process_that_is_ended_in_the_middle_of_its_answer_is_told():
    block = "\n".join(names(20_000)).encode()  # no pipe holds their keys
    with HeldKey(CANARY, "it") as source:
        texts = derive_many.texts(source, [block] * 4, FORMS["csv"], 2)
        next(texts)
        one, other = (child.pid for child in multiprocessing.active_children())
        until = time.monotonic() + WAIT
        while not (sleeps(one) and sleeps(other)) and time.monotonic() < until:
            os.sched_yield()
        os.kill(one, signal.SIGKILL)
        with pytest.raises(CommandError, match="a process that derives keys was ended"):
            list(texts)


def sleeps(process):
    return "State:\tS" in Path(f"/proc/{process}/status").read_text()


@SEVERAL
def test_ctrl_c_ends_all_of_them_in_silence(midway):
    group = list(family(midway.pid))
    os.killpg(midway.pid, signal.SIGINT)
    assert read_out(midway) == ("", 130)
    assert [one for one in group if alive(one)] == []


# strikes each process at once, as Ctrl-C at a terminal may
STRUCK_AT_BIRTH = """
import os, signal
from host_tools.derive_many import FORMS, texts
from host_tools.key_sources import HeldKey
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGINT))
for text in texts(HeldKey(bytes(64), "it"), [b"a", b"b", b"c"], FORMS["tsv"], 2):
    print(text.decode().partition("\\t")[0])
"""


def test_ctrl_c_that_comes_before_a_process_ignores_it_says_nothing_either():
    done = subprocess.run(
        [sys.executable, "-c", STRUCK_AT_BIRTH], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\nb\nc\n", "")


@SEVERAL
def test_none_is_left_when_the_first_is_killed(midway):
    group = list(family(midway.pid))
    assert len(group) > 1
    midway.kill()
    read_out(midway)
    until = time.monotonic() + WAIT
    while any(map(alive, group)) and time.monotonic() < until:
        os.sched_yield()
    assert [one for one in group if alive(one)] == []


# VmHWM is this program's own; ru_maxrss would also be that of whoever started it
PEAK = """
import atexit, re, resource, runpy, sys
def tell():
    status = open("/proc/self/status").read()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(max(int(re.search("VmHWM:[^0-9]*([0-9]+) kB", status)[1]), children), file=sys.stderr)
atexit.register(tell)
runpy.run_module("host_tools", run_name="__main__")
"""


def peak(tmp_path, count):
    """Return the most memory that deriving so many keys takes, in KiB, in any one process."""
    with open(tmp_path / "ids", "w") as ids:
        ids.writelines(f"sn-{number:07}-mac-a0-b1-c2-d3-e4-f5\n" for number in range(count))
    with open(tmp_path / "ids", "rb") as ids:
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "derive-key"],
            stdin=ids, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=KEYS, check=True,
        )  # fmt: skip
    return int(done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_times_the_ids_take_no_more_memory(tmp_path):
    few, many = peak(tmp_path, ENOUGH), peak(tmp_path, 5 * ENOUGH)
    assert many < few * 1.1
