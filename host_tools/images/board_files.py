"""The files of a board's filesystem: compiled firmware, roots, your configuration and application.

Owns reading and checking what a user gives. A configuration holds a network's password, so only
the compiled firmware passes through a temporary folder. Doesn't own the filesystem made of them.
"""

import argparse
import ast
import functools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import firmware, roots
from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.images import filesystem, input_file
from keystead import configuration
from keystead.failure import Failure

_LARGEST = 1 << 20  # bytes of a file that are looked at
_TOO_LARGE = f"is larger than {_LARGEST} bytes"
_LONGEST_CONFIG = 4096  # bytes: rim.settings reads no more


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what content() takes of a user: --config, --app, --ca."""
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="config.json: docs/configuration.md")
    add("--app", type=Path, metavar="FILE", help="your app.py: docs/application.md")
    add("--ca", type=Path, metavar="PEM", help="trust the roots in this file instead of Azure's")


def content(
    board: Board,
    config: Path | None = None,
    app: Path | None = None,
    ca: Path | None = None,
    umqtt: bool = False,
) -> dict[str, bytes]:
    """Return the files of a board's filesystem, path to content. Raises CommandError.

    config, app: what becomes config.json and app.py. ca: PEM with roots instead of Azure's. umqtt:
    add umqtt.simple, which ESP32 images have.
    """
    return given(config, app, ca).content(board, umqtt)


@dataclass(frozen=True)
class Given:
    """What a user gives, read and checked. own: path to content; ders: roots, name to DER."""

    own: Mapping[str, bytes] = field(repr=False)
    ders: Mapping[str, bytes] = field(repr=False)

    def content(self, board: Board, umqtt: bool = False) -> dict[str, bytes]:
        """Return the files of a board's filesystem; see content()."""
        ders, when = tuple(self.ders.items()), firmware.build_time()
        return _compiled(ders, umqtt, board.modules, when) | dict(self.own)


def given(config: Path | None, app: Path | None, ca: Path | None) -> Given:
    """Read and check what a user gives, for a board that is not known yet. CommandError."""
    own = {}
    if config is not None:
        own["config.json"] = _config(config)
    if app is not None:
        own["app.py"] = _app(app)
    return Given(own, roots.from_file(ca) if ca else roots.azure())


def spread(files: Mapping[str, bytes]) -> int:
    """Return the seconds that a first boot with files of content() may wait; 0: no config.json."""
    data = files.get("config.json")
    return 0 if data is None else configuration.read(json.loads(data)).spread


@functools.lru_cache(4)
def _compiled(
    ders: tuple[tuple[str, bytes], ...], umqtt: bool, pins: Path, build_time: int
) -> dict[str, bytes]:
    """Return the compiled firmware; the last argument only tells one day's from the next's."""
    with tempfile.TemporaryDirectory(prefix="keystead-") as folder:
        firmware.build(Path(folder), dict(ders), umqtt, pins)
        return filesystem.files(Path(folder))


def _config(file: Path) -> bytes:
    """Return a configuration that the board will take; CommandError shows no value of it."""
    data = input_file.read(file, _LARGEST, _TOO_LARGE)
    if len(data) > _LONGEST_CONFIG:
        raise CommandError(
            f"{file} has {len(data)} bytes, a board reads a config.json of {_LONGEST_CONFIG}"
        )
    try:
        configuration.read(json.loads(data.decode()))
    except (ValueError, RecursionError):
        raise CommandError(
            f"{file} is not JSON in UTF-8, without byte order mark: see docs/configuration.md"
        ) from None
    except Failure as error:
        raise CommandError(f"{file}: {error}: see docs/configuration.md") from None
    return data


def _app(file: Path) -> bytes:
    data = input_file.read(file, _LARGEST, _TOO_LARGE)
    try:
        compile(data, file.name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise CommandError(f"{file} is no program: {error}") from None
    if not _has_run(ast.parse(data)):
        raise CommandError(
            f"{file} has no function run(device), which a board calls: see docs/application.md"
        )
    return data


def _has_run(program: ast.Module) -> bool:
    """Tell whether a program binds the name `run` at its top level, in whatever way."""
    left: list[ast.AST] = [program]
    while left:
        node = left.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if node.name == "run":
                    return True
                continue  # what is in it is not at the top level
            case ast.Name(id="run", ctx=ast.Store()):
                return True
            case ast.alias() if (node.asname or node.name) in ("run", "*"):
                return True
        left += ast.iter_child_nodes(node)
    return False
