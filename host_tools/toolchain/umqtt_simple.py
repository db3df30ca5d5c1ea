"""A step of the set-up: umqtt.simple from the package index, its one file unpacked.

Its sdist has no build file, so pip refuses it; unearth downloads it by name, from where pip
is configured to look.
"""

import ast
import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from host_tools.toolchain.environment import explain
from host_tools.toolchain.log import CommandFailed, Log
from host_tools.toolchain.micropython import UMQTT
from host_tools.toolchain.stamps import Stamp, key_of, whole

NAME = "micropython-umqtt.simple"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
_MEMBER = f"{NAME}-{UMQTT}/umqtt/simple.py"
# pip's settings that say where to look, and unearth's options for them
_OPTIONS = {
    "index-url": "--index-url",
    "extra-index-url": "--index-url",
    "find-links": "--find-link",
    "trusted-host": "--trusted-host",
}
_TRIES = 3


class UmqttSimple:
    """The folder with `umqtt/simple.py`, for MicroPython's path."""

    label = f"umqtt.simple {UMQTT}"

    def __init__(self, home: Path, python: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.folder = home / "umqtt" / UMQTT
        self._python = str(python)
        self._environ = environ
        self._stamp = Stamp(home / "stamps" / "umqtt")

    def missing(self) -> bool:
        """Tell whether there is anything to do."""
        return not (self.folder.is_dir() and self._stamp.fresh(key_of(UMQTT, SHA256)))

    def make(self, log: Log) -> str | None:
        """Download, check and unpack it."""
        with whole(self.folder) as folder:
            sdist = self._download(folder / "download", log)
            found = hashlib.sha256(sdist.read_bytes()).hexdigest()
            if found != SHA256:
                raise log.error(
                    f"{sdist.name} is not the file it should be (SHA-256 {found}): "
                    "the package index served something else"
                )
            unpack(sdist, folder / "umqtt" / "simple.py")
            shutil.rmtree(folder / "download")
        self._stamp.finish(key_of(UMQTT, SHA256))
        return None

    def _download(self, folder: Path, log: Log) -> Path:
        words = [self._python, "-m", "unearth", "--no-binary", "--link-only"]
        words += ["--download", str(folder)]
        settings = self._settings(log)
        environ = {**self._environ, **certificates(settings)}
        failures = []
        for place in places_to_look(settings) * _TRIES:
            try:
                answer = log.run([*words, *place, f"{NAME}=={UMQTT}"], environ=environ)
                return Path(answer.rpartition("==>")[2].strip())
            except CommandFailed as failed:
                failures.append(failed)
        worst = next((failed for failed in failures if failed.unreachable()), failures[-1])
        raise log.error(explain(worst, f"umqtt.simple {UMQTT}"))

    def _settings(self, log: Log) -> dict[str, list[str]]:
        words = [self._python, "-m", "pip", "config", "list"]
        try:
            return settings_of(log.run(words, environ=self._environ))
        except CommandFailed:
            return {}


def settings_of(listing: str) -> dict[str, list[str]]:
    """Read `pip config list`; what comes later in pip's order of precedence wins."""
    found: dict[str, list[str]] = {}
    for scope in ("global", "download", ":env:"):
        found |= dict(_scope(listing, scope))
    return found


def places_to_look(settings: Mapping[str, list[str]]) -> list[list[str]]:
    """Return unearth's options for each place: as configured, then its own default index."""
    configured = [
        word
        for name, option in _OPTIONS.items()
        for value in settings.get(name, ())
        for word in (option, value)
    ]
    closed = "index-url" in settings or settings.get("no-index", ["no"]) != ["no"]
    return [configured, *([] if closed else [[]])] if configured else [[]]


def certificates(settings: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return the environment that makes unearth trust what pip is told to trust."""
    bundle = " ".join(settings.get("cert", ()))
    return {"SSL_CERT_FILE": bundle} if bundle else {}


def unpack(sdist: Path, target: Path) -> None:
    """Copy the one module out of the sdist."""
    target.parent.mkdir(parents=True)
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(_MEMBER)
        if member is None:
            raise KeyError(_MEMBER)
        target.write_bytes(member.read())


def _scope(listing: str, scope: str) -> Iterator[tuple[str, list[str]]]:
    for line in listing.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.startswith(f"{scope}."):
            yield name.removeprefix(f"{scope}."), str(ast.literal_eval(value)).split()
