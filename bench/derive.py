"""Device keys: a list of registration IDs to a CSV of keys, by the command, start-up and all.

Beside it, in the same run: `openssl` called as the provisioning article shows, one process a key,
and a plain loop of hmac, base64 and csv. All with a group key that is thrown away: openssl takes
it from its command line, where all may read it.
"""

import base64
import binascii
import csv
import hmac
import secrets
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import command
from bench.figures import Bar, Figure, Row, usual_rate
from bench.workshop import Workshop
from host_tools.errors import CommandError

TITLE = "device keys, with CSV written"

_SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
_ROUNDS = 3  # of the largest
_LOOPED = 200_000  # IDs of the plain loop
_CALLED = 50  # IDs of openssl
# "How to provision legacy devices using symmetric keys", the tab Linux
_ARTICLE = 'printf %s "$1" | openssl sha256 -mac HMAC -macopt "hexkey:$2" -binary | base64'
_LOOP, _OPENSSL = "plain loop", "openssl"


def rows(workshop: Workshop) -> list[Row]:
    """Derive all sizes, the largest several times in turns with the loop."""
    key, folder = secrets.token_bytes(64), workshop.folder
    _agree(key, folder)
    loops, largest = [], []
    for _ in range(_ROUNDS):
        loops.append(_looped(key, folder, _LOOPED))
        largest.append(_command(key, folder, _SIZES[-1]))
    few = {count: _command(key, folder, count) for count in _SIZES[:-1]}
    rate = usual_rate([seconds for seconds, _ in largest], _SIZES[-1])
    return [
        Row(f"{_said(_SIZES[-1])} IDs, whole command", rate, usual_rate(loops, _LOOPED), _LOOP,
            "314 000/s derivation alone", Bar(500_000, at_most=False), _RATE),
        *_beside_openssl(key, rate),
        *(_row(count, *measured) for count, measured in few.items()),
        _row(_SIZES[-1], statistics.median(seconds for seconds, _ in largest),
             max(memory for _, memory in largest), few[_SIZES[-3]][1]),
    ]  # fmt: skip


def _row(count: int, seconds: float, memory: float, before: float | None = None) -> Row:
    """Return one size's time; for the largest, its memory beside that of a hundredth of it."""
    if before is None:
        return Row(f"{_said(count)} IDs", Figure(seconds, "s"), note=_TIME)
    return Row(f"peak memory, {_said(count)} IDs", Figure(memory, "MiB"), Figure(before, "MiB"),
               f"{_said(count // 100)} IDs", note=_MEMORY)  # fmt: skip


def _beside_openssl(key: bytes, rate: Figure) -> Iterator[Row]:
    if shutil.which("openssl"):
        begun = time.perf_counter()
        for name in _names(_CALLED):
            _called(key, name)
        theirs = Figure(_CALLED / (time.perf_counter() - begun), "/s")
        yield Row("  the same, one process a key", rate, theirs, _OPENSSL, note=_SHELL)


def _command(key: bytes, folder: Path, count: int) -> tuple[float, float]:
    """Return the seconds of one run of the command, and the MiB of the largest process."""
    ids, output = folder / f"ids-{count}", folder / "keys.csv"
    if not ids.exists():
        ids.write_text("".join(f"{name}\n" for name in _names(count)))
    output.unlink(missing_ok=True)
    environ = {"KEYSTEAD_GROUP_KEY": base64.b64encode(key).decode()}
    words = ("derive-key", "--csv", "--output", output)
    ran = command.run("host_tools", words, environ, stdin=ids)
    return ran.seconds, ran.memory


def _looped(key: bytes, folder: Path, count: int) -> float:
    begun = time.perf_counter()
    with open(folder / "loop.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["registration_id", "device_key"])
        for name in _names(count):
            device_key = hmac.digest(key, name.encode(), "sha256")
            writer.writerow([name, base64.b64encode(device_key).decode()])
    return time.perf_counter() - begun


def _called(key: bytes, name: str) -> str:
    words = ["sh", "-c", _ARTICLE, "sh", name, binascii.hexlify(key).decode()]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def _agree(key: bytes, folder: Path) -> None:
    _command(key, folder, 100)
    ours = (folder / "keys.csv").read_bytes()
    _looped(key, folder, 100)
    if ours != (folder / "loop.csv").read_bytes():
        raise CommandError("derive-key derives other keys than a plain loop")
    if shutil.which("openssl"):
        name, _, device_key = ours.decode().splitlines()[1].partition(",")
        if _called(key, name) != device_key:
            raise CommandError("derive-key derives another key than openssl")


def _names(count: int) -> Iterator[str]:
    return (f"sn-{number:07}-mac-a0-b1-{number >> 16:04x}" for number in range(count))


def _said(count: int) -> str:
    return f"{count:,}".replace(",", " ")


_RATE = (
    f"median of {_ROUNDS} runs, in turns with the loop (.. the slowest): the command from start"
    " to end, all IDs checked before the first key; IDs from a file, the CSV into a new one."
    f" The loop has {_LOOPED} IDs, and Python is running already; it checks nothing"
)
_SHELL = f"{_CALLED} calls as the article shows them: printf, openssl and base64 in a pipe of sh"
_TIME = "one run of the whole command; about 0.2 s of it is Python that starts"
_MEMORY = "most that one process of the command ever held, beside a hundredth of the IDs"
