"""The main job: the real firmware, over verified TLS, at our own DPS and IoT Hub."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from host_tools.emulator.access import Reason
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment
from host_tools.emulator.events import Assigned, Event, Refused, Telemetry
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.serve.listener import serve
from host_tools.keys import derive_device_key, encode_key
from host_tools.virtual_board.unix_board import UnixBoard
from keystead.record import FactoryRecord
from tests.emulator.conftest import (
    DEVICE_KEY,
    GROUP_KEY,
    ID_SCOPE,
    MAC,
    NAME,
    MakeBoard,
    said,
    watch,
)  # fmt: skip

HUB = "test-docs-hub.azure-devices.net"
KEYS = KeyPair(GROUP_KEY, bytes(reversed(GROUP_KEY)))
GROUP = EnrollmentGroup("mylegacydevices", hub=HUB, keys=KEYS)
APP = (
    "def run(device):\n    device.send({'n': 1}, {'alarm level': 'high&low'})\n    print('over')\n"
)


def boot(
    make_board: MakeBoard, config: Config, until: str, **board: object
) -> tuple[list[str], list[Event], UnixBoard]:
    """Boot a board at a cloud; return its console, the cloud's events, and the board."""
    events: list[Event] = []

    async def story() -> tuple[list[str], UnixBoard]:
        with Cloud(config, on_event=events.append) as cloud:
            async with serve(cloud, "127.0.0.1", 0) as listener:
                made = make_board(listener.port, **board)
                (made.flash / "certs" / "bench.der").write_bytes(cloud.ca_der)
                (made.flash / "app.py").write_text(APP)
                return await watch(made, until), made

    return *asyncio.run(story()), events  # type: ignore[return-value]


def with_key(key: bytes, name: str = NAME) -> bytes:
    return FactoryRecord(MAC, ID_SCOPE, name, key).pack()


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("epoch", [2000, 1970])
def test_a_board_boots_to_telemetry(make_board: MakeBoard, bits: int, epoch: int) -> None:
    config, began = Config(retry_after=0, groups=(GROUP,)), time.time()
    lines, _, events = boot(make_board, config, "over", bits=bits, epoch=epoch)
    said(lines, "provisioning status: connected")
    said(lines, "provisioning status: assigning")
    said(lines, f"assigned hub: {HUB}, device ID: {NAME}")
    [assigned] = [event for event in events if isinstance(event, Assigned)]
    assert (assigned.hub, assigned.device_id) == (HUB, NAME)
    [telemetry] = [event for event in events if isinstance(event, Telemetry)]
    assert telemetry.body == b'{"n": 1}'
    properties = dict(telemetry.properties)
    captured = datetime.fromisoformat(properties.pop("$.ctime") or "")
    assert began - 2 < captured.timestamp() < telemetry.time + 2
    assert properties == {
        "alarm level": "high&low",
        "$.ct": "application/json",
        "$.ce": "utf-8",
    }


def test_the_key_derived_from_the_groups_secondary_key_is_as_good(make_board: MakeBoard) -> None:
    assert KEYS.secondary is not None
    record = with_key(derive_device_key(KEYS.secondary, NAME))
    boot(make_board, Config(assigning_replies=0, groups=(GROUP,)), "over", record=record)


def test_an_individual_enrollment_names_its_device(make_board: MakeBoard) -> None:
    one = IndividualEnrollment(
        NAME, hub=HUB, device_id="pump-7", keys=KeyPair(b"i" * 16, b"j" * 64)
    )
    config = Config(assigning_replies=0, groups=(GROUP,), individuals=(one,))
    lines, _, _ = boot(make_board, config, "over", record=with_key(b"j" * 64))
    said(lines, "device ID: pump-7")


@pytest.mark.parametrize(
    ("refuse_at", "failure"),
    [
        ("register", "62 dps-unauthorized (401002): Unauthorized"),
        ("connect", "61 dps-refused (5): CONNACK 5"),
    ],
)
@pytest.mark.parametrize("wrong", ["another key", "group key"])
def test_a_wrong_key_is_refused_and_named(
    make_board: MakeBoard, refuse_at: str, failure: str, wrong: str
) -> None:
    record = with_key(GROUP_KEY if wrong == "group key" else b"x" * 32)
    config = Config(groups=(GROUP,), refuse_at=refuse_at)
    lines, _, events = boot(make_board, config, "next attempt", record=record)
    said(lines, f"FAILURE {failure}")
    assert any(isinstance(event, Refused) for event in events)


@pytest.mark.parametrize(
    ("refuse_at", "failure"), [("register", "62 dps-unauthorized"), ("connect", "61 dps-refused")]
)
def test_a_clock_that_is_wrong_makes_a_token_that_has_expired(
    make_board: MakeBoard, refuse_at: str, failure: str
) -> None:
    config = Config(groups=(GROUP,), refuse_at=refuse_at)
    lines, _, events = boot(make_board, config, "next attempt", ntp=[-100 * 24 * 3600])
    said(lines, f"FAILURE {failure}")
    assert Reason.EXPIRED in [event.reason for event in events if isinstance(event, Refused)]


def test_a_device_in_no_enrollment_is_named(make_board: MakeBoard) -> None:
    one = IndividualEnrollment("somebody-else", hub=HUB, keys=KEYS)
    config = Config(groups=(), individuals=(one,))
    lines, _, _ = boot(make_board, config, "next attempt")
    said(lines, "FAILURE 63 dps-unknown (404")


def test_a_disabled_enrollment_is_named(make_board: MakeBoard) -> None:
    group = EnrollmentGroup("mylegacydevices", hub=HUB, keys=KEYS, enabled=False)
    lines, _, _ = boot(make_board, Config(groups=(group,)), "next attempt")
    assert re.search("FAILURE 6[28] dps-", "\n".join(lines)), lines


def test_another_id_scope_is_refused(make_board: MakeBoard) -> None:
    lines, _, _ = boot(make_board, Config(id_scope="0ne0000FFFF", groups=(GROUP,)), "next attempt")
    assert re.search("FAILURE 6[123] dps-", "\n".join(lines)), lines


def test_no_secret_is_ever_said(make_board: MakeBoard) -> None:
    config = Config(assigning_replies=0, groups=(GROUP,))
    lines, _, events = boot(make_board, config, "over")
    told = "\n".join([*lines, *(event.line() for event in events)])
    told += "\n".join(event.json() for event in events) + repr(events) + repr(config)
    told += repr(GROUP) + repr(FactoryRecord(MAC, ID_SCOPE, NAME, DEVICE_KEY))
    for key in (DEVICE_KEY, GROUP_KEY, KEYS.secondary or b""):
        assert encode_key(key) not in told
        assert key.hex() not in told.lower()
        assert repr(key)[2:-1] not in told
    assert "sig=" not in told
    assert "SharedAccessSignature" not in told


# ---- as a person runs it


def keystead(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host_tools", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_demo_fails_with_the_boards_numbered_reason() -> None:
    # a heap that the firmware fits into, but by far not the whole boot; where the user's own key
    # is, does not matter
    result = keystead("demo", "--heap", "42k", KEYSTEAD_KEY_SOURCE="env:NOWHERE")
    assert result.returncode == 1
    assert re.search(r"keystead demo: the board reports failure 12 out-of-memory", result.stderr)


def records(serial: str) -> list[Path]:
    """Return the factory records of this board; others may be on this machine at the same time."""
    found = []
    for path in Path("/dev/shm").glob("keystead-*/nvs/keystead/record.blob"):
        with suppress(OSError):  # another board, gone meanwhile
            if serial.encode() in path.read_bytes():
                found.append(path)
    return found


def test_boot_joins_a_cloud_and_leaves_nothing_behind_when_told_to_stop() -> None:
    serial = f"told-to-stop-{os.getpid()}"

    async def story() -> tuple[int, str]:
        config = Config(assigning_replies=0, groups=(GROUP,))
        with Cloud(config, on_event=lambda event: None) as cloud:
            async with serve(cloud, "127.0.0.1", 0) as listener:
                words = ["boot", "--id-scope", ID_SCOPE, "--serial", serial]
                words += ["--mac", "a1:b2:c3:d4:e5:f6", "--once", "--ca", str(cloud.ca_path)]
                words += ["--cloud", f"127.0.0.1:{listener.port}"]
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "host_tools", *words,
                    env={
                        **os.environ,
                        "KEYSTEAD_GROUP_KEY": encode_key(GROUP_KEY),
                    },
                    stdout=asyncio.subprocess.PIPE,
                )  # fmt: skip
                assert process.stdout is not None
                said = await process.stdout.readuntil(b"hub: connected")
                assert len(records(serial)) == os.access("/dev/shm", os.W_OK | os.X_OK)
                process.terminate()  # once: what it says as it ends may name the hub again
                said += await process.stdout.read()
                return await process.wait(), said.decode()

    code, told = asyncio.run(asyncio.wait_for(story(), 60))
    assert f"assigned hub: {HUB}" in told
    assert code == 128 + signal.SIGTERM
    assert records(serial) == []


@pytest.mark.parametrize("bits", ["32", "64"])
def test_boot_once_ends_at_the_first_failure(bits: str) -> None:
    words = ["boot", "--id-scope", ID_SCOPE, "--serial", "1", "--mac", "a1b2c3d4e5f6", "--once"]
    words += ["--bits", bits]
    key = encode_key(GROUP_KEY)
    result = keystead(*words, "--cloud", "127.0.0.1:1", KEYSTEAD_GROUP_KEY=key)
    assert result.returncode == 1
    assert "FAILURE 34 unreachable (104)" in result.stdout
    assert result.stderr == ""
