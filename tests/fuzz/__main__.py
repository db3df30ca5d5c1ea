"""Fuzz the emulator: each harness in a process of its own, one after the other.

    python -m tests.fuzz                         all of them, an hour in total
    python -m tests.fuzz stream --seconds 300    one of them
    python -m tests.fuzz stream --replay FILE    what was found, without atheris

Needs Linux, Python below 3.13 and atheris (pip install -e '.[fuzz]'). What was learned stays in
--folder for the next time; what was found is in its folder "findings". The exit code is 1 if
anything was.
"""

import argparse
import importlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol, cast

# how much of the time each gets
HARNESSES = {
    "stream": 4,
    "frames": 3,
    "calls": 3,
    "pages": 2,
    "datagrams": 1,
    "enrollments": 1,
    "settings": 1,
    "shown": 1,
    "tokens": 1,
}
_ROOT = Path(__file__).parents[2]
_MEMORY = 1024  # MB: who takes more has found something


class Harness(Protocol):
    """What a module of a harness has."""

    SEEDS: list[bytes]
    TOKENS: list[bytes]

    def run(self, data: bytes) -> None:
        """Raise if an oracle is violated."""


def harness(name: str) -> Harness:
    """Return a harness by its name."""
    return cast(Harness, importlib.import_module(f"tests.fuzz.{name}"))


def main() -> int:
    """Fuzz, or replay; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("harness", nargs="*", help=f"of {', '.join(HARNESSES)} (default: all)")
    parser.add_argument("--seconds", type=int, default=3600, help="in total (default: 3600)")
    parser.add_argument("--folder", type=Path, default=_ROOT / "build" / "fuzz")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input and stop")
    args = parser.parse_args()
    names = args.harness or list(HARNESSES)
    for name in names:
        if name not in HARNESSES:
            parser.error(f"no harness is called {name[:40]!r}")
    if args.replay:
        harness(names[0]).run(args.replay.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("atheris is missing: .venv/bin/pip install -e '.[fuzz]'", file=sys.stderr)
        return 2
    share = args.seconds / sum(HARNESSES[name] for name in names)
    codes = [_fuzz(name, round(share * HARNESSES[name]), args.folder) for name in names]
    return int(any(codes))


def _fuzz(name: str, seconds: int, folder: Path) -> int:
    corpus, findings = folder / name, folder / "findings"
    for directory in (corpus, findings):
        directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(harness(name).SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in harness(name).TOKENS if token))
    log = folder / f"{name}.log"
    began = time.monotonic()
    with log.open("ab") as output:
        code = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.process", name, str(corpus)),
                f"-max_total_time={max(1, seconds)}",
                f"-artifact_prefix={findings}/{name}-",
                f"-dict={words}",
                f"-rss_limit_mb={_MEMORY}",
                *("-max_len=4096", "-timeout=20", "-print_final_stats=1"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=_ROOT,
            check=False,
        ).returncode
    found = f"FOUND SOMETHING, see {log} and {findings}" if code else "nothing found"
    print(f"{name:<12} {time.monotonic() - began:6.0f} s  {found}", flush=True)
    return code


# as libFuzzer's dictionaries want it
def _escaped(token: bytes) -> str:
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in token)


if __name__ == "__main__":
    sys.exit(main())
