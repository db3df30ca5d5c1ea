"""A step of the set-up, for the tests only: SoftHSM2, a PKCS#11 token in software.

Python loads its library, so it comes from the machine's own Debian, not from the one that
MicroPython comes from: that one's may need a newer C library than this process has.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.toolchain import places, sources
from host_tools.toolchain.apt import PrivateApt, fit
from host_tools.toolchain.host import Host
from host_tools.toolchain.log import Log
from host_tools.toolchain.sources import Source
from host_tools.toolchain.stamps import Stamp, key_of, whole

PACKAGES = ("softhsm2", "libsofthsm2")
_LIBRARY = "usr/lib/softhsm/libsofthsm2.so"
_UTIL = "usr/bin/softhsm2-util"


class SoftHsm:
    """The folder with SoftHSM2's library and the tool that makes tokens for it."""

    label = "SoftHSM2, for the tests of PKCS#11"

    def __init__(
        self, home: Path, host: Host, source: Source | None = None, retries: int = 1
    ) -> None:
        self.folder = home / "softhsm"
        self.host = host
        self._source = source
        self._retries = retries
        self._stamp = Stamp(home / "stamps" / "softhsm")

    def missing(self) -> bool:
        """Tell whether there is anything to do; elsewhere than on Debian there never is."""
        done = self._stamp.fresh(self._key()) and self.folder.is_dir()
        return self.host.debian() and not done

    def make(self, log: Log) -> str | None:
        """Fetch, unpack and try it; return a line to show when the tests have to do without."""
        try:
            with whole(self.folder) as folder:
                self._unpack(folder, log)
                _try(folder)
        except CommandError as error:
            return f"The tests of PKCS#11 will be skipped: {error}"
        self._stamp.finish(self._key())
        return None

    def _unpack(self, folder: Path, log: Log) -> None:
        source = fit(self._source or sources.mirror(sources.read(), self.host.codename))
        scratch, suite = folder / "apt", self.host.codename
        apt = PrivateApt(scratch, source, [self.host.architecture], log, self._retries, suite)
        apt.update()
        apt.unpack(PACKAGES, folder)
        shutil.rmtree(scratch)

    def _key(self) -> str:
        return key_of(PACKAGES, self.host.codename, self.host.architecture)


def found(home: Path | None = None) -> tuple[Path, Path]:
    """Return SoftHSM2's library and its softhsm2-util; CommandError says why there are none."""
    folder = (home or places.home()) / "softhsm"
    if not (folder / _LIBRARY).exists():
        raise CommandError("SoftHSM2 is not set up here; `make setup` does it on Debian")
    return folder / _LIBRARY, folder / _UTIL


def _try(folder: Path) -> None:
    words = [str(folder / _UTIL), "--version"]
    environ: Mapping[str, str] = {**os.environ, "SOFTHSM2_CONF": os.devnull}
    try:
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CommandError(f"softhsm2-util does not start: {error.strerror}") from None
    if done.returncode:
        raise CommandError(f"softhsm2-util does not run here: {done.stderr.strip()}")
