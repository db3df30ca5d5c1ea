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
    for name in ("keystead", "rim", "umqtt/simple", "umqtt/__init__")
    for ending in ("/", ".py", ".mpy")
)
# modules that the firmware and the code for the REPL import, and what those import in turn: files
# and folders of such names come before MicroPython's own, even an empty folder is a package
BUILT_IN = frozenset((
    "asyncio", "binascii", "board", "collections", "errno", "esp32", "gc", "hashlib", "heapq",
    "io", "json", "keystead", "machine", "micropython", "network", "os", "rim", "select",
    "socket", "ssl", "struct", "sys", "time", "tls", "umqtt", "vfs",
))  # fmt: skip
_NOT_IMPORTED = ("main", "boot")
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
    files and folders that have to go; same: files that are there already; had: whether Keystead
    is on it; shadows: those of aside that would be imported in place of MicroPython's modules.
    """

    new: Mapping[str, bytes] = field(repr=False)
    replaced: tuple[str, ...]
    aside: tuple[str, ...]
    same: tuple[str, ...]
    had: bool
    shadows: tuple[str, ...] = ()

    @property
    def room(self) -> int:
        """Bytes of the filesystem that it takes until it is done."""
        folders = {path.rpartition("/")[0] for path in self.new}
        blocks = sum(-(-len(data) // _BLOCK) for data in self.new.values())
        return (blocks + 2 * len(folders) + _ROOM_LEFT) * _BLOCK

    @property
    def keeps(self) -> bool:
        """Whether what is replaced or has to go is a user's, and kept on the board."""
        return not self.had or bool(self.shadows)

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
    shadows = _shadows(content, there)
    aside = {*shadows, *(path for path in _stale(content, there) if not _below(path, shadows))}
    had = _has_keystead(there)
    return Plan(new, replaced, tuple(sorted(aside)), kept, had, tuple(sorted(shadows)))


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


def _shadows(content: Mapping[str, bytes], there: list[Entry]) -> list[str]:
    """Return what would be imported in place of what MicroPython or content has."""
    new = {path.rpartition("/")[2].rpartition(".")[0] for path in content}
    packages = BUILT_IN | new.difference(_NOT_IMPORTED)
    return [
        entry.path
        for entry in there
        if _module(entry) in (packages if entry.is_folder else BUILT_IN)
        and not any(path == entry.path or path.startswith(f"{entry.path}/") for path in content)
    ]


def _module(entry: Entry) -> str:
    """Return the name by which an entry can be imported, "" if it can not."""
    folder, _, name = entry.path.rpartition("/")
    if folder not in ("", "/lib"):
        return ""
    stem, _, ending = name.rpartition(".")
    return name if entry.is_folder else stem if ending in ("py", "mpy") else ""


def _below(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


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
