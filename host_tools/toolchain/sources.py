"""This machine's apt sources: read in both of Debian's formats, to find its Debian mirror.

Formats: sources.list(5). Only what chooses a mirror and proves its signature is kept.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)")
_OFF = {"no", "false", "without", "off", "disable", "0"}
_MOVING = {"oldstable", "stable", "testing", "unstable", "sid"}


@dataclass(frozen=True)
class Source:
    """One archive of packages that this machine trusts."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: str = ""

    def stanza(self, suite: str, architectures: Iterable[str]) -> str:
        """Return a deb822 paragraph for another suite of the same archive."""
        fields = {
            "Types": "deb",
            "URIs": self.uri,
            "Suites": suite,
            "Components": "main",
            "Architectures": " ".join(architectures),
            "Targets": "Packages",
            "Signed-By": self.signed_by,
            "Trusted": self.trusted,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def read(folder: Path = APT) -> list[Source]:
    """Return the sources of a machine, in the order apt reads them."""
    parts = folder / "sources.list.d"
    files = [folder / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else ())]
    return [source for file in files if file.is_file() for source in _file(file)]


def mirror(sources: Iterable[Source], codename: str) -> Source | None:
    """Return the source that serves Debian itself, or None."""
    known = list(sources)
    wanted = _MOVING | {codename}
    found = [one for one in known if "main" in one.components and wanted & set(one.suites)]
    return max(found, key=lambda one: _likeness(one, known, codename), default=None)


def one_line(text: str) -> Iterator[Source]:
    """Read the older format: `deb [options] uri suite component...`."""
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match and not match["uri"].startswith("cdrom:"):
            suite, *components = match["rest"].split()
            options = _options(match["options"] or "")
            signed_by = options.get("signed-by", "").replace(",", " ")
            trusted = options.get("trusted", "")
            yield Source(match["uri"], (suite,), tuple(components), signed_by, trusted)


def deb822(text: str) -> Iterator[Source]:
    """Read the newer format: paragraphs of fields."""
    for fields in _paragraphs(text):
        off = fields.get("enabled", "yes").strip().lower() in _OFF
        if off or "deb" not in fields.get("types", "").split():
            continue
        suites = tuple(fields.get("suites", "").split())
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            yield Source(
                uri, suites, components, fields.get("signed-by", ""), fields.get("trusted", "")
            )


def _file(path: Path) -> Iterator[Source]:
    readers = {".list": one_line, ".sources": deb822}
    reader = readers.get(path.suffix)
    return reader(path.read_text(errors="replace")) if reader else iter(())


def _options(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {name.lower(): value for name, _, value in pairs}


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    fields: dict[str, str] = {}
    name = ""
    for line in [*lines, ""]:
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0].isspace():
            fields[name] = f"{fields.get(name, '')}\n{line}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


# other vendors name suites after Debian's too: theirs have their own key and no updates
def _likeness(source: Source, known: Iterable[Source], codename: str) -> tuple[bool, bool, bool]:
    sisters = {suite for one in known if one.uri == source.uri for suite in one.suites}
    official = not source.signed_by or "debian-archive" in source.signed_by
    return official, f"{codename}-updates" in sisters, codename in source.suites
