"""Harness: the files a user writes: cloud.toml and a scenario."""

import re
import tempfile
from pathlib import Path

from host_tools.emulator.config import Config
from host_tools.emulator.config_file import load
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.scenario import load_scenario
from host_tools.errors import CommandError
from host_tools.keys import encode_key
from tests.fuzz.bench import BEGIN, HUB

KEY = encode_key(bytes(range(64)))
TOKENS = [
    b"[dps]\n",
    b"[[enrollment_group]]\n",
    b"[[individual_enrollment]]\n",
    b"[[step]]\n",
    b'name = "a"\n',
    b'registration_id = "b"\n',
    b"id_scope = ",
    b"assigning_replies = ",
    b"retry_after = ",
    b'refuse_at = "connect"\n',
    f'hub = "{HUB}"\n'.encode(),
    f'primary_key = "{KEY}"\n'.encode(),
    b"enabled = false\n",
    b"seed = 7\n",
    b'who = "the 3rd board"\n',
    b'when = "',
    b'gets = "429"\n',
    b"times = 2\n",
    b"inf",
    b"1979-05-27T07:32:00Z",
]
_folder = tempfile.TemporaryDirectory(prefix="keystead-fuzz-")
_path = Path(_folder.name, "file.toml")


def run(data: bytes) -> None:
    """Load a file; a mistake is a CommandError of one line that shows no key."""
    _path.write_bytes(data[1:])
    try:
        if data[:1] < b"\x80":
            assert isinstance(load(_path), Config)
        else:
            scenario = load_scenario(_path)
            scenario.play(Faults(), BEGIN)
            assert len(scenario.story()) == 1 + len(scenario.rules)
    except CommandError as error:
        assert str(error).startswith(("can not read", str(_path))), error
        assert KEY[8:60] not in str(error) or not _in_its_place(data), "a key"
        assert "\n" not in str(error), error


# who writes a key where a name belongs is told what he wrote
def _in_its_place(data: bytes) -> bool:
    lines = [line for line in data[1:].split(b"\n") if KEY[8:60].encode() in line]
    return all(re.match(rb"\s*(primary|secondary)_key\s*=", line) for line in lines)


SEEDS = [
    f"""\0[dps]
id_scope = "0ne00002193"
refuse_at = "register"
[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{KEY}"
hub = "{HUB}"
[[individual_enrollment]]
registration_id = "bench-1"
device_id = "pump-7"
hub = "{HUB}"
enabled = false
""".encode(),
    b"""\x80title = "a bad day"
seed = 7
[[step]]
who = "the 3rd board"
gets = "429"
times = 2
""",
]
