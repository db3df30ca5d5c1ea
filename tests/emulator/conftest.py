"""Boards for tests, each on a chip of its own; what a cloud is told; one for all MQTT clients."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from host_tools.keys import derive_device_key
from host_tools.virtual_board.unix_board import UnixBoard
from keystead.record import FactoryRecord
from tests.emulator import mqtt_fixtures
from tests.emulator.mqtt_fixtures import Bench, Neighbour
from tests.emulator.packet_client import CONFIG
from tests.emulator.scripted import der

MAC = bytes.fromhex("a1b2c3d4e5f6")
NAME = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
ID_SCOPE = "0ne00002193"
GROUP_KEY = bytes(range(64))
DEVICE_KEY = derive_device_key(GROUP_KEY, NAME)
RECORD = FactoryRecord(MAC, ID_SCOPE, NAME, DEVICE_KEY).pack()

BUILT = 1_767_312_000  # 2026-01-02; an image takes a day less for possible
MakeBoard = Callable[..., UnixBoard]


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> Path:
    """A board's folder with the firmware in its flash and this CA's root."""
    board = UnixBoard(tmp_path_factory.mktemp("installed"), MAC)
    with pytest.MonkeyPatch.context() as patch:
        # an image of some age: a clock that is wrong by weeks may be right, as far as it knows
        patch.setenv("SOURCE_DATE_EPOCH", str(BUILT))
        board.install({"bench": der(ca)})
    return board.folder


@pytest.fixture
def make_board(installed: Path, tmp_path: Path) -> MakeBoard:
    """Return make(port, record=RECORD, **chip): a board whose every host name leads to port."""

    def make(port: int, record: bytes | None = RECORD, **chip: object) -> UnixBoard:
        folder = tmp_path / "board"
        shutil.copytree(installed, folder)
        chip.setdefault("hosts", {"*": ("127.0.0.1", port)})
        board = UnixBoard(folder, MAC, **chip)  # type: ignore[arg-type]
        if record is not None:
            board.write_nvs("record", record)
        return board

    return make


async def watch(board: UnixBoard, until: str, times: int = 1, limit: float = 60) -> list[str]:
    """Power the board on; return its console's lines up to the times-th that holds until."""
    lines: list[str] = []
    try:
        async with asyncio.timeout(limit), board.powered() as console:
            async for line in console:
                lines.append(line)
                times -= until in line
                if not times:
                    return lines
    except TimeoutError:
        lines.append(f"(no more within {limit} s)")
    raise AssertionError(f"{until!r} not seen:\n" + "\n".join(lines))


def said(lines: list[str], text: str) -> None:
    """Fail with the whole console unless a line holds text."""
    if not any(text in line for line in lines):
        raise AssertionError(f"{text!r} not said:\n" + "\n".join(lines))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with mqtt_fixtures.bench(tmp_path_factory.mktemp("bench")) as bench:
        bench.provision(mqtt_fixtures.NAME)
        yield bench


@pytest.fixture(scope="module")
def other(bench: Bench) -> Iterator[Neighbour]:
    with mqtt_fixtures.neighbour(bench) as other:
        yield other


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file that tells a cloud of one group, whose key is GROUP_KEY."""
    path = tmp_path / "cloud.toml"
    path.write_text(CONFIG)
    return path
