"""A command, run as its user runs it: start-up and all, in a process of its own.

Owns the time it takes and the most memory it holds. Doesn't own what it does.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Unmeasured
from host_tools.errors import CommandError

# what is run, and at its end the most memory that one of its processes held, in KiB; the status
# has it for this program alone, where rusage begins with what held the one that started it
_PEAK = """
import atexit, re, resource, runpy, sys
def tell():
    status = open("/proc/self/status").read()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(max(int(re.search("VmHWM:[^0-9]*([0-9]+) kB", status)[1]), children), file=sys.stderr)
atexit.register(tell)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Ran:
    """What a run took: seconds from start to end, and of CPU; MiB of its largest process."""

    seconds: float
    cpu: float
    memory: float


def run(
    module: str,
    words: Sequence[object],
    environ: Mapping[str, str],
    stdin: Path | None = None,
) -> Ran:
    """Run a module as python -m does, with more in its environment.

    Raises CommandError if it fails, Unmeasured where memory can not be read.
    """
    if sys.platform != "linux":
        raise Unmeasured("the memory of another process is read as Linux gives it")
    call = [sys.executable, "-c", _PEAK, module, *map(str, words)]
    begun, before = time.perf_counter(), _cpu()
    with open(stdin or os.devnull, "rb") as source:
        done = subprocess.run(
            call, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **environ}, cwd=Path(__file__).parents[1], check=False,
        )  # fmt: skip
    seconds, cpu = time.perf_counter() - begun, _cpu() - before
    if done.returncode:
        raise CommandError(f"{module} {words[0]} ended with {done.returncode}: {done.stderr}")
    return Ran(seconds, cpu, int(done.stderr.split()[-1]) / (1 << 10))


def _cpu() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime
