"""The installation: new files beside the old ones, then all of them exchanged, or none.

Owns the marker on the board, by which a later run knows what an interrupted one left.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from host_tools.repl import Repl, ReplError
from host_tools.repl.files import sha256_of
from host_tools.retrofit import on_board, record
from host_tools.retrofit.failure import RetrofitFailure
from host_tools.retrofit.plan import MARKER, NEW, Plan

_TIME = 120.0  # seconds: a hundred renames, each a commit of the filesystem
_AT_ONCE = 24  # paths in one question


@dataclass(frozen=True)
class Left:
    """What an earlier retrofit left on a board.

    begun: files or record may be exchanged; done: only the tidying is missing; staged: new files
    lie ready.
    """

    begun: bool
    done: bool
    staged: bool


def left(repl: Repl) -> Left:
    """Return what an earlier retrofit left."""
    words = repl.exec(on_board.MARKERS).split()
    if len(words) != 3:
        raise ReplError("the board's answer about its markers is garbled: try again")
    return Left(*(word == "True" for word in words))


def same(
    repl: Repl, content: Mapping[str, bytes], paths: Iterable[str], root: str = ""
) -> set[str]:
    """Return which of these paths, below root on the board, hold the bytes of content."""
    asked, found = list(paths), dict[str, str]()
    for at in range(0, len(asked), _AT_ONCE):
        some = tuple(asked[at : at + _AT_ONCE])
        told = repl.exec(f"{on_board.HASHES}\n_hashes({root!r}, {some!r})", _TIME)
        found |= {line[65:]: line[:64] for line in told.splitlines()}
    return {path for path in asked if found.get(path) == sha256_of(content[path])}


def stage(repl: Repl, plan: Plan, ready: set[str], moved: Callable[[int], None]) -> None:
    """Put the new files beside the old ones; ready: those that lie there already."""
    missing = [path for path in plan.order() if path not in ready]
    folders = sorted({f"{NEW}{path.rpartition('/')[0]}/" for path in missing})
    for at in range(0, len(folders), _AT_ONCE):
        repl.exec(on_board.FOLDERS.format(paths=folders[at : at + _AT_ONCE]), _TIME)
    for path in missing:
        repl.put(NEW + path, plan.new[path], moved)
    _check(repl, plan.new, missing, NEW)


def mark(repl: Repl, plan: Plan) -> None:
    """Leave the marker: from here on, what is done can be undone by whoever finds it."""
    lines = ["keep" if plan.keeps else "drop"]
    lines += [f"+ {path}" for path in plan.order()] + [f"- {path}" for path in plan.aside]
    fresh = f"{NEW}.marker"
    repl.put(fresh, "".join(f"{line}\n" for line in lines).encode())
    repl.exec(f"import os\nos.rename({fresh!r}, {MARKER!r})")


def switch(repl: Repl) -> None:
    """Exchange the files."""
    repl.exec(on_board.SWITCH, _TIME)


def check(repl: Repl, content: Mapping[str, bytes]) -> None:
    """Have the board read back all that is to be on it. Raises RetrofitFailure."""
    _check(repl, content, content, "")


def undo(repl: Repl) -> None:
    """Put files and record back as they were; the new files stay ready."""
    record.undo(repl)
    repl.exec(on_board.UNDO, _TIME)


def forget_new(repl: Repl) -> None:
    """Remove the files that lie ready."""
    repl.exec(on_board.FORGET_NEW, _TIME)


def commit(repl: Repl) -> None:
    """Say on the board that it stays so."""
    repl.exec(on_board.COMMIT)


def clean(repl: Repl) -> None:
    """Remove what commit() made superfluous; the files the board had before stay, aside."""
    record.forget(repl)
    repl.exec(on_board.CLEAN, _TIME)


def _check(repl: Repl, content: Mapping[str, bytes], paths: Iterable[str], root: str) -> None:
    wanted = list(paths)
    differ = sorted(set(wanted) - same(repl, content, wanted, root))
    if differ:
        raise RetrofitFailure(
            "files-differ",
            f"{len(differ)} of {len(wanted)} files on the board are not what was sent, e.g."
            f" {differ[0]}: try again; if it comes back, its flash is failing",
        )
