"""Put on PYTHONPATH: every Python process tells who it is, what it writes and whom it starts.

An audit hook sees every file that is opened, so nothing is short-lived enough to be missed; of
what is removed again a copy is kept. KEYSTEAD_WITNESS is the folder it tells in.
"""

import json
import os
import shutil
import sys
import uuid
from typing import Any

_PLACE = os.environ["KEYSTEAD_WITNESS"]
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_log = os.open(f"{_PLACE}/{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _tell(**facts: Any) -> None:
    os.write(_log, json.dumps(facts, default=repr).encode() + b"\n")


def _kernels(name: str) -> str:
    with open(f"/proc/self/{name}", "rb") as file:
        return file.read().decode("latin-1")


def _whole(path: Any, folder: int) -> str:
    at = os.getcwd() if folder == -1 else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.join(at, os.fsdecode(path))


def _hook(event: str, words: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = words
        if not isinstance(path, int) and flags & _WRITES and _PLACE not in str(path):
            _tell(wrote=_whole(path, -1))
    elif event == "os.remove":
        path = _whole(*words)
        if os.path.isfile(path):
            _tell(removed=path)
            shutil.copyfile(path, f"{_PLACE}/{uuid.uuid4()}.removed")
    elif event == "sqlite3.connect":
        _tell(wrote=os.fsdecode(words[0]))
    elif event == "subprocess.Popen":
        _, command, _, environment = words
        inherited = os.environ if environment is None else environment
        _tell(started=list(command), environment=dict(inherited))


_tell(parent=os.getppid(), argv=_kernels("cmdline"), environ=_kernels("environ"))
sys.addaudithook(_hook)
