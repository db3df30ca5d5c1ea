"""The wheel: built, installed outside the checkout, and used from another folder.

What it depends on is lent by the environment that runs the tests, so that nothing is downloaded;
the project itself is there only as the wheel.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from host_tools.toolchain import places

ROOT = Path(__file__).parents[2]
SOURCES = ("host_tools", "firmware", "boards")
BESIDES = ("pyproject.toml", "README.md", "LICENSE")
pytestmark = pytest.mark.timeout(400)  # seconds: the first test builds, another runs the demo
BUILD = "import sys, setuptools.build_meta as build; print(build.build_wheel(sys.argv[1]))"


@dataclass
class Installed:
    """A virtual environment with the wheel, and an empty folder to work in."""

    folder: Path
    wheel: Path

    @property
    def site(self) -> Path:
        [site] = self.folder.glob("venv/lib/python*/site-packages")
        return site

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment in a folder of its own."""
        work = self.folder / "desk"
        work.mkdir(exist_ok=True)
        environment = {
            "HOME": str(work), "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
            "KEYSTEAD_TOOLCHAIN": str(places.home()), **more,
        }  # fmt: skip
        program = self.folder / "venv" / "bin" / words[0]
        return subprocess.run(
            [program, *words[1:]], cwd=work, env=environment, text=True, capture_output=True,
            timeout=300, check=False,
        )  # fmt: skip


def quiet(words: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"  # building leaves files about
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in BESIDES:
        shutil.copy(ROOT / name, copy)
    built = quiet([sys.executable, "-c", BUILD, str(folder)], copy)
    wheel = folder / built.splitlines()[-1]
    shutil.rmtree(copy)
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-compile", "--quiet"]
    quiet([*pip, "install", *offline, wheel], folder)
    result = Installed(folder, wheel)
    # a path line, not a site folder: the checkout's own editable install is not read
    (result.site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return result


def files(name: str) -> set[str]:
    """Every file of a folder of the checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_package_is_listed_and_there() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    ours = {name for name in table["packages"] if name.split(".")[0] == "host_tools"}
    folders = {Path(name).parent.as_posix() for name in files("host_tools") if name[-3:] == ".py"}
    assert ours == {folder.replace("/", ".") for folder in folders}


def test_the_wheel_has_every_file_and_no_other(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        contents = {name: wheel.read(name) for name in held}
    portable = {name.removeprefix("firmware/"): name for name in files("firmware/keystead")}
    tree = {f"keystead_tree/{name}": name for name in files("firmware") | files("boards")}
    wanted = portable | tree | {name: name for name in files("host_tools")}
    assert held == set(wanted)
    assert contents == {name: (ROOT / path).read_bytes() for name, path in wanted.items()}


def test_it_runs_from_where_it_is_installed(installed: Installed) -> None:
    told = installed.run(
        "python", "-c",
        "import host_tools, keystead; from host_tools import boards, firmware;"
        "from host_tools.toolchain import places;"
        "print(host_tools.__file__, keystead.__file__, boards.folder(), firmware.source());"
        "print(*boards.names()); print(places.checkout(), places.home())",
        KEYSTEAD_TOOLCHAIN="",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    where, names, tools = told.stdout.splitlines()
    assert all(path.startswith(str(installed.site)) for path in where.split())
    assert names == "ESP32_GENERIC ESP32_GENERIC_C3 ESP32_GENERIC_S3"
    # the set-up fetches into the user's cache
    assert tools == f"None {installed.folder}/desk/.cache/keystead"


def test_help_names_every_verb(installed: Installed) -> None:
    told = installed.run("keystead", "--help")
    assert told.returncode == 0, told.stderr
    assert "image" in told.stdout


def test_an_image_is_built_in_any_folder(installed: Installed) -> None:
    told = installed.run(
        "keystead", "image", "--board", "ESP32_GENERIC_C3", "--stand-in", "--output", "image"
    )
    assert told.returncode == 0, told.stderr
    said = json.loads((installed.folder / "desk" / "image" / "image.json").read_text())
    assert (said["board"], said["shared"]["size"]) == ("ESP32_GENERIC_C3", 4 << 20)


def test_the_demo_runs_in_any_folder(installed: Installed) -> None:
    told = installed.run("keystead", "demo")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "telemetry" in told.stdout


def test_without_the_toolchain_it_is_said_at_once_how_to_get_it(installed: Installed) -> None:
    bare = {"KEYSTEAD_TOOLCHAIN": str(installed.folder / "nowhere"), "PATH": ""}
    for verb in ("demo", "board"):
        told = installed.run("keystead", verb, **bare)
        assert (told.returncode, told.stdout) == (1, "")
        python = installed.folder / "venv" / "bin" / "python"
        assert f"run `{python}" in told.stderr
        assert "-m host_tools.toolchain`" in told.stderr
