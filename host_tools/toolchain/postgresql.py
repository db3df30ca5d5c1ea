"""A step of the set-up, for the tests only: a PostgreSQL server, for a ledger that stations share.

The machine's own is taken where there is one. Else it comes from the machine's own Debian, with
the libraries it needs, and runs from an ignored folder with this machine's C library.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.toolchain import places, sources
from host_tools.toolchain.apt import PrivateApt, fit
from host_tools.toolchain.host import Host
from host_tools.toolchain.log import CommandFailed, Log
from host_tools.toolchain.sources import Source
from host_tools.toolchain.stamps import Stamp, key_of, whole

VERSIONS = {"bookworm": "15", "trixie": "17"}
_INSTALLED = Path("/usr/lib/postgresql")
_PROGRAMS = ("postgres", "initdb")
# the machine's own, or too much for what is needed: LLVM compiles queries, Perl is for scripts
_NOT = ("libc6", "libgcc-", "libstdc++", "libllvm", "libperl", "libclang", "libz3", "libdebconf")
_DEPENDS = ("--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
            "--no-replaces", "--no-enhances")  # fmt: skip


@dataclass(frozen=True)
class Programs:
    """Where postgres and initdb are, and what their environment must name."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def path(self, program: str) -> str:
        """Return the path of one of them."""
        return str(self.folder / program)


class PostgresqlServer:
    """The folder with a PostgreSQL server and the libraries it needs."""

    def __init__(
        self, home: Path, host: Host, source: Source | None = None, retries: int = 3
    ) -> None:
        self.folder = home / "postgresql"
        self.host = host
        self._source = source
        self._retries = retries
        self._stamp = Stamp(home / "stamps" / "postgresql")

    @property
    def label(self) -> str:
        """Return what the step is called."""
        return f"PostgreSQL {VERSIONS.get(self.host.codename, '')}, for the tests of the ledger"

    def missing(self) -> bool:
        """Tell whether there is anything to do; elsewhere than on Debian there never is."""
        if installed() or not self.host.debian() or self.host.codename not in VERSIONS:
            return False
        return not (self._stamp.fresh(self._key()) and self.folder.is_dir())

    def make(self, log: Log) -> str | None:
        """Fetch, unpack and try it; return a line to show when the tests have to do without."""
        try:
            with whole(self.folder) as folder:
                self._unpack(folder, log)
                _try(_programs(folder))
        except CommandError as error:
            return f"The tests of PostgreSQL will be skipped: {error}"
        self._stamp.finish(self._key())
        return None

    def _unpack(self, folder: Path, log: Log) -> None:
        source = fit(self._source or sources.mirror(sources.read(), self.host.codename))
        scratch, suite = folder / "apt", self.host.codename
        apt = PrivateApt(
            scratch, source, [self.host.architecture], log, self._retries, suite=suite
        )
        apt.update()
        server = f"postgresql-{VERSIONS[suite]}"
        apt.unpack([server, *_libraries(server, scratch, log)], folder)
        shutil.rmtree(scratch)

    def _key(self) -> str:
        return key_of(VERSIONS, _NOT, self.host.codename, self.host.architecture)


def installed() -> Programs | None:
    """Return the machine's own server, the newest of several, None if it has none."""
    found = [program for name in _PROGRAMS if (program := shutil.which(name))]
    if len(found) == len(_PROGRAMS):
        return Programs(Path(found[0]).resolve().parent)
    folders = sorted(_INSTALLED.glob("*/bin"), key=lambda one: _number(one.parent.name))
    whole_ones = [one for one in folders if all((one / name).is_file() for name in _PROGRAMS)]
    return Programs(whole_ones[-1]) if whole_ones else None


def found(home: Path | None = None) -> Programs:
    """Return a server that can be started; CommandError says why there is none."""
    programs = installed() or _programs((home or places.home()) / "postgresql")
    if programs is None:
        raise CommandError(
            "PostgreSQL is not set up on this machine; `make setup` does it on Debian, elsewhere"
            " put postgres and initdb on PATH"
        )
    return programs


def _programs(folder: Path) -> Programs | None:
    for place in sorted(folder.glob("usr/lib/postgresql/*/bin")):
        libraries = [*folder.glob("usr/lib/*-linux-gnu"), *folder.glob("lib/*-linux-gnu")]
        return Programs(place, {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))})
    return None


# names stand at the begin of a line, what they depend on is indented, <virtual> ones are no files
def _libraries(package: str, scratch: Path, log: Log) -> list[str]:
    words = ["apt-cache", "-c", str(scratch / "apt.conf"), "depends", *_DEPENDS, package]
    try:
        return sorted(_wanted(log.run(words).splitlines()))
    except CommandFailed as failed:
        raise log.error(
            f"apt-cache can not tell what {package} needs: {failed.reason('E:')}"
        ) from None


def _wanted(lines: Iterable[str]) -> set[str]:
    return {line for line in lines if line.startswith("lib") and not line.startswith(_NOT)}


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _try(programs: Programs | None) -> None:
    if programs is None:
        raise CommandError("its packages hold no server")
    environ = {**os.environ, **programs.environ}
    for name in _PROGRAMS:
        words = [programs.path(name), "--version"]
        try:
            done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        except OSError as error:
            raise CommandError(f"{name} does not start: {error.strerror}") from None
        if done.returncode:
            raise CommandError(f"{name} does not run here: {done.stderr.strip()}")
