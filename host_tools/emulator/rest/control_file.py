"""Control file: how the commands of this machine find a cloud that runs, and are let in.

Owns control.json in the state directory, and the copy where commands look that were told nothing:
that is the cloud started last. Both are for their owner alone; whoever reads one may do anything
with this cloud.
"""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from host_tools import whole_file
from host_tools.errors import CommandError

FILE = "control.json"
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Control:
    """Where a cloud listens, and the token that opens it."""

    url: str
    ca: str  # a file
    token: str = field(repr=False)
    portal: str = field(default="", repr=False)  # what to open in a browser, with its token


@contextmanager
def published(control: Control, state_dir: Path) -> Iterator[Path]:
    """Keep control where commands find it, as long as the block lasts; CommandError."""
    path = state_dir / FILE
    _write(path, control)
    last = _last_started()
    # a machine without such a place, or with a full disk, has the state directory still
    with suppress(CommandError):
        if last:
            _write(last, control)
    try:
        yield path
    finally:
        for one in filter(None, (path, last)):
            _remove(one, control)


def load(state_dir: Path | None = None) -> Control:
    """Return the control of the cloud with this state directory, or the one started last.

    Raises CommandError.
    """
    path = state_dir / FILE if state_dir else _last_started()
    if path is None or not path.exists():
        where = f"with state in {state_dir}" if state_dir else "started by you"
        raise CommandError(
            f"no cloud {where} runs: start `keystead cloud`, or name one with --state-dir DIR,"
            " or with --url URL --token-file FILE"
        )
    return parse(path)


def parse(path: Path) -> Control:
    """Return what a control file says; raise CommandError."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                raise CommandError(f"{path} is not yours: it is not to be trusted")
            document = json.loads(file.read(_LARGEST))
        return Control(*(str(document[name]) for name in ("url", "ca", "token", "portal")))
    except OSError as error:
        raise CommandError(f"can not read {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CommandError(f"{path} is not a cloud's control file: start the cloud anew") from None


# None where this machine has no place that is the user's alone: whoever else made the folder
# could say where to send the token
def _last_started() -> Path | None:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    directory = (
        Path(runtime, "keystead")
        if runtime
        else Path(tempfile.gettempdir(), f"keystead-{os.getuid()}")
    )
    with suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077 == 0:
            return directory / FILE
    return None


# for its owner alone
def _write(path: Path, control: Control) -> None:
    whole_file.write(path, json.dumps(asdict(control)).encode(), 0o600)


# the next cloud may have taken the place
def _remove(path: Path, control: Control) -> None:
    with suppress(CommandError, OSError):
        if parse(path) == control:
            path.unlink()
