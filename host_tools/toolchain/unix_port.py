"""A step of the set-up: Unix MicroPython, 64-bit and 32-bit, from Debian's packages."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.toolchain import micropython, sources
from host_tools.toolchain.apt import SUITE, PrivateApt, fit
from host_tools.toolchain.architectures import RUNS, Architecture
from host_tools.toolchain.host import Host
from host_tools.toolchain.log import Log
from host_tools.toolchain.sources import Source
from host_tools.toolchain.stamps import Stamp, key_of, whole

PACKAGES = (
    "micropython",
    "libc6",
    "libffi8",
    "libgcc-s1",
    "libmbedcrypto16",
    "libmbedtls21",
    "libmbedx509-7",
)
_NO_32_BIT = (
    "This machine does not run 32-bit programs: the 64-bit MicroPython stands in for them."
)


class UnixPort:
    """The folder of MicroPython builds that this machine lacks."""

    def __init__(
        self, home: Path, host: Host, source: Source | None = None, retries: int = 3
    ) -> None:
        self.folder = home / "micropython"
        self.host = host
        self._source = source
        self._retries = retries
        self._stamp = Stamp(home / "stamps" / "micropython")

    @property
    def label(self) -> str:
        """Return what the step is called."""
        roles = " and ".join(f"{one.bits}-bit" for one in self._wanted())
        return f"MicroPython 1.25, {roles}" if roles else "MicroPython"

    def missing(self) -> bool:
        """Tell whether there is anything to do."""
        wanted = self._wanted()
        done = self._stamp.fresh(_key(wanted)) or self._stamp.fresh(_key(self._possible()))
        return not (done and self.folder.is_dir())

    def make(self, log: Log) -> str | None:
        """Fetch, unpack and try the builds; return a line to show when one can not run here."""
        wanted = self._wanted()
        with whole(self.folder) as folder:
            if wanted:
                self._unpack(folder, wanted, log)
            note = self._try(folder, wanted)
        self._stamp.finish(_key(wanted))
        return note

    def _wanted(self) -> Sequence[Architecture]:
        own = micropython.named(64) or micropython.on_path()
        if not self.host.debian():
            if not own:
                raise CommandError(self.host.advice())
            return ()
        own_bits = {64 if own else 0, 32 if micropython.named(32) else 0}
        return [one for one in self._possible() if one.bits not in own_bits]

    def _possible(self) -> Sequence[Architecture]:
        return RUNS[self.host.architecture] if self.host.debian() else ()

    def _unpack(self, folder: Path, wanted: Sequence[Architecture], log: Log) -> None:
        source = fit(self._source or sources.mirror(sources.read(), self.host.codename))
        names = dict.fromkeys([self.host.architecture, *(one.name for one in wanted)])
        scratch = folder / "apt"
        apt = PrivateApt(scratch, source, list(names), log, self._retries)
        apt.update()
        for one in wanted:
            apt.unpack([f"{package}:{one.name}" for package in PACKAGES], one.root(folder))
        shutil.rmtree(scratch)

    def _try(self, folder: Path, wanted: Sequence[Architecture]) -> str | None:
        for one in wanted:
            if micropython.ask(one.command(folder)):
                continue
            if one.bits == 64:
                raise CommandError(
                    f"MicroPython was unpacked but does not run on this machine ({self.host}): "
                    "put another one on PATH, or name it in $MICROPYTHON"
                )
            shutil.rmtree(one.root(folder))
        roles = {one.bits for one in wanted if one.root(folder).is_dir()}
        return None if 32 in roles or micropython.named(32) else _NO_32_BIT


def _key(architectures: Sequence[Architecture]) -> str:
    return key_of(SUITE, PACKAGES, [one.name for one in architectures])
