"""A group key that is looked for everywhere, and a `keystead` to run as people do."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from host_tools.keys import derive_device_key

# 64 bytes that nothing else has; what a process says of them is looked for in all these forms
CANARY = b"the canary that nobody may ever see outside of its cage: 01234567"[:64]
CANARY_TEXT = base64.b64encode(CANARY).decode()
FORMS = (CANARY, CANARY[:16], CANARY_TEXT.encode()[:24], CANARY.hex().encode()[:32])
NAME = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
DEVICE_KEY = base64.b64encode(derive_device_key(CANARY, NAME)).decode()
SECRETS = ("KEYSTEAD_GROUP_KEY", "KEYSTEAD_KEY_SOURCE", "KEYSTEAD_PIN", "PKCS11_MODULE_PATH")


def clean(**more: str) -> dict[str, str]:
    """Return this environment without a key, a PIN or their places, and with more."""
    return {name: text for name, text in os.environ.items() if name not in SECRETS} | more


def keystead(*words: str, stdin: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with nobody at a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "host_tools", *words],
        input=stdin, env=clean(**environ), capture_output=True, text=True, check=False,
        start_new_session=True,
    )  # fmt: skip


def key_file(folder: Path, text: str = CANARY_TEXT) -> Path:
    """Return a new file with a key, readable by us alone."""
    file = folder / "group.key"
    file.touch(0o600)
    file.write_text(text + "\n")
    return file


def seen_in(*places: bytes) -> list[bytes]:
    """Return the forms of the canary that are in any of the places."""
    return [form for form in FORMS if any(form in place for place in places)]


def family(process: int) -> Iterator[int]:
    """Give a process and all its descendants (Linux)."""
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def told_of(processes: Iterable[int]) -> bytes:
    """Return all arguments of processes, as anybody on the machine can read them."""
    return b"\n".join(Path(f"/proc/{one}/cmdline").read_bytes() for one in processes)
