"""The real esptool against a virtual board, in this process and as a command."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esptool import cmds
from esptool.loader import ESPLoader
from esptool.logger import log

from host_tools.serial_line import use_fast_protocols

# esptool's own command line, with our handler of rfc2217:// as our worker has it
_FAST = "import sys, host_tools.serial_line as s; s.use_fast_protocols(); import {0}; {0}._main()"


@contextmanager
def connected(url: str, stub: bool = True, attempts: int = 7) -> Iterator[ESPLoader]:
    """Reset into the loader, detect the chip and attach its flash, as esptool's commands do."""
    use_fast_protocols()
    log.set_verbosity("silent")
    with cmds.detect_chip(url, connect_attempts=attempts) as esp:
        loader = cmds.run_stub(esp) if stub else esp
        cmds.attach_flash(loader)
        yield loader


def tool(name: str, *words: object, fast: bool = True) -> str:
    """Run esptool or espefuse; return what it says; CalledProcessError."""
    start = ["-c", _FAST.format(name)] if fast else ["-m", name]
    command = [sys.executable, *start, *map(str, words)]
    return subprocess.run(
        command, check=True, text=True, timeout=60, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    ).stdout  # fmt: skip


def written(folder: Path, name: str, data: bytes) -> Path:
    """Return a file that holds data."""
    file = folder / name
    file.write_bytes(data)
    return file
