"""Debian packages without root: a private apt that leaves the machine's own alone."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.toolchain.log import CommandFailed, Log
from host_tools.toolchain.sources import Source

SUITE = "trixie"

# read after the machine's configuration: its proxies and certificates stay in force
_CONFIGURATION = """\
#clear APT::Architectures;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
APT::Architecture "{native}";
APT::Architectures {{ {architectures} }};
APT::Default-Release "";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "{retries}";
Acquire::http::Proxy::127.0.0.1 "DIRECT";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::Cache "{folder}/cache";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::Etc::SourceList "{folder}/debian.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::State "{folder}/state";
Dir::State::Lists "{folder}/lists";
Dir::State::Status "{folder}/status";
"""


class PrivateApt:
    """An apt of our own under one folder; what it trusts is what the machine trusts."""

    def __init__(
        self,
        folder: Path,
        source: Source,
        architectures: Sequence[str],
        log: Log,
        retries: int = 3,
        suite: str = SUITE,
    ) -> None:
        self.folder = folder
        self.source = source
        self.suite = suite
        self.log = log
        self._write(architectures, retries)

    def update(self) -> None:
        """Fetch the mirror's lists of packages."""
        try:
            self._apt_get("update")
        except CommandFailed as failed:
            raise self.log.error(self._explain(failed)) from None

    def unpack(self, packages: Iterable[str], root: Path) -> None:
        """Fetch packages and unpack them under `root`; nothing of them is run."""
        debs = self.folder / "debs"
        debs.mkdir()
        try:
            self._apt_get("download", *packages)
            for deb in sorted(debs.glob("*.deb")):
                self.log.run(["dpkg", "-x", str(deb), str(root)])
                deb.unlink()
        except CommandFailed as failed:
            raise self.log.error(self._explain(failed)) from None
        debs.rmdir()

    def _apt_get(self, *words: str) -> None:
        debs = self.folder / "debs"
        configuration = str(self.folder / "apt.conf")
        folder = debs if debs.is_dir() else self.folder
        environ = {**os.environ, "TMPDIR": str(self.folder)}  # /tmp may be full
        self.log.run(["apt-get", "-qq", "-c", configuration, *words], folder, environ)

    def _write(self, architectures: Sequence[str], retries: int) -> None:
        for name in ("cache/archives/partial", "state", "lists/partial"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "status").write_text("")
        (self.folder / "debian.sources").write_text(self.source.stanza(self.suite, architectures))
        configuration = _CONFIGURATION.format(
            native=architectures[0],
            architectures=" ".join(f'"{name}";' for name in architectures),
            retries=retries,
            folder=self.folder,
        )
        (self.folder / "apt.conf").write_text(configuration)

    def _explain(self, failed: CommandFailed) -> str:
        uri = self.source.uri
        if common := failed.common(self.folder):
            return common
        if "apt-get: No such file" in failed.output or "dpkg: No such file" in failed.output:
            return "apt-get or dpkg is missing: is this really Debian?"
        if "NO_PUBKEY" in failed.output:
            return (
                f"this machine's keyring does not know the keys of Debian's {self.suite}: "
                "have the package debian-archive-keyring updated, then run this again"
            )
        if failed.unreachable():
            return f"Debian's mirror {uri} can not be reached: check the network, then try again"
        if "404" in failed.output or "does not have a Release file" in failed.output:
            return f"Debian's mirror {uri} has no suite {self.suite}"
        return f"apt-get can not fetch from {uri}: {failed.reason('E:')}"


def fit(source: Source | None) -> Source:
    """Return the machine's Debian mirror, or say that there is none."""
    if source is None:
        raise CommandError(
            "no Debian mirror among this machine's apt sources (/etc/apt/sources.list and "
            "/etc/apt/sources.list.d): have one added, then run this again"
        )
    return source
