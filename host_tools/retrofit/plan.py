"""The plan: which files a retrofit puts on a board, which it moves aside, which stay.

Pure: what is on the board and what is to be there go in. Owns the rules. Doesn't own the moving.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from host_tools.repl import Entry
from host_tools.retrofit.failure import RetrofitFailure

_BLOCK = 4096  # bytes: what a file takes on LittleFS, and half of what a folder takes
_ROOM_LEFT = 16  # blocks that stay free, for the firmware's own small files
# what would be loaded before our .mpy or is of another version: sources that `mip` installs, and
# modules of an application that have our packages' names
_OURS = tuple(
    f"{folder}{name}{ending}"
    for folder in ("/", "/lib/")
    for name in ("keystead", "rim")
    for ending in ("/", ".py", ".mpy")
)
_KNOWN_BY = "/lib/rim/"
# of a board that has Keystead, these are its user's and stay, unless others are given
_USERS = ("/app.py", "/config.json")
MAIN = "/main.py"
# where a retrofit keeps what is new, what is old, and the user's files for good
NEW, OLD, BEFORE = "/keystead.new", "/keystead.old", "/before-keystead"
MARKER, DONE = "/keystead.retrofit", "/keystead.done"
_WORK = (NEW, f"{NEW}.marker", OLD, MARKER, DONE)


@dataclass(frozen=True)
class Plan:
    """What is to be done. Paths begin with "/".

    new: files that are not there yet, or are otherwise; replaced: those of them that are; aside:
    files that have to go; same: files that are there already; had: whether Keystead is on it.
    """

    new: Mapping[str, bytes] = field(repr=False)
    replaced: tuple[str, ...]
    aside: tuple[str, ...]
    same: tuple[str, ...]
    had: bool

    @property
    def room(self) -> int:
        """Bytes of the filesystem that it takes until it is done."""
        folders = {path.rpartition("/")[0] for path in self.new}
        blocks = sum(-(-len(data) // _BLOCK) for data in self.new.values())
        return (blocks + 2 * len(folders) + _ROOM_LEFT) * _BLOCK

    @property
    def changes(self) -> bool:
        """Whether a file of the board is to be another."""
        return bool(self.new or self.aside)

    def order(self) -> list[str]:
        """Return the new files; the one that starts all is first."""
        return sorted(self.new, key=lambda path: (path != MAIN, path))


def wanted(
    content: Mapping[str, bytes], given: Iterable[str], there: list[Entry]
) -> dict[str, bytes]:
    """Return what is to be on the board: content without the user's files that it has.

    content: path to bytes, as board_files.content() has it; given: of its paths, those that the
    user asked for.
    """
    paths = {entry.path for entry in there}
    keeps = {path for path in _USERS if path in paths and _has_keystead(there)}
    asked = {f"/{path}" for path in given}
    return {
        f"/{path}": data
        for path, data in content.items()
        if f"/{path}" not in keeps or f"/{path}" in asked
    }


def plan(content: Mapping[str, bytes], there: list[Entry], same: Iterable[str]) -> Plan:
    """Return the plan. same: paths whose bytes on the board are those of content already."""
    entries = {entry.path: entry for entry in there}
    for path in content:
        _refuse_in_the_way(path, entries)
    kept = tuple(sorted(same))
    new = {path: data for path, data in content.items() if path not in kept}
    replaced = tuple(sorted(entries.keys() & new.keys()))
    return Plan(new, replaced, tuple(sorted(_stale(content, there))), kept, _has_keystead(there))


def candidates(content: Mapping[str, bytes], there: list[Entry], root: str = "") -> list[str]:
    """Return the paths of content that may be on the board, below root, by their size."""
    sizes = {entry.path: entry.size for entry in there if not entry.is_folder}
    return [path for path, data in content.items() if sizes.get(root + path) == len(data)]


def own_files(there: list[Entry]) -> list[Entry]:
    """Return what on a board is not a retrofit's own."""
    return [
        entry
        for entry in there
        if not any(entry.path == work or entry.path.startswith(f"{work}/") for work in _WORK)
    ]


def _has_keystead(there: list[Entry]) -> bool:
    return any(entry.path.startswith(_KNOWN_BY) for entry in there)


def _stale(content: Mapping[str, bytes], there: list[Entry]) -> list[str]:
    return [
        entry.path
        for entry in there
        if not entry.is_folder
        and entry.path.startswith(_OURS)
        and entry.path not in content
        and "\n" not in entry.path  # the marker could not say that; nothing imports it either
    ]


def _refuse_in_the_way(path: str, entries: Mapping[str, Entry]) -> None:
    entry = entries.get(path)
    if entry and entry.is_folder:
        raise RetrofitFailure(
            "in-the-way", f"the board has a folder {path} where a file goes: rename it first"
        )
    at = path.find("/", 1)
    while at > 0:
        above = entries.get(path[:at])
        if above and not above.is_folder:
            raise RetrofitFailure(
                "in-the-way", f"the board has a file {path[:at]} where a folder goes: rename it"
            )
        at = path.find("/", at + 1)
