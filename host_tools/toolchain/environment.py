"""The set-up's first step: the virtual environment with the project and its packages."""

import importlib.util
import os
import shutil
import sys
import tomllib
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.toolchain import places, sources
from host_tools.toolchain.apt import PrivateApt, fit
from host_tools.toolchain.host import Host
from host_tools.toolchain.log import CommandFailed, Log
from host_tools.toolchain.stamps import Stamp, key_of, whole

PROJECT = ".[test,check,scale,keyring,key-vault,hsm,postgresql]"
_PIP = ("--no-input", "--disable-pip-version-check")


class Environment:
    """`.venv` of a checkout, with the checkout in it as an editable install."""

    label = "Python packages, in .venv"

    def __init__(self, checkout: Path, home: Path, host: Host) -> None:
        self.checkout = checkout
        self.folder = checkout / ".venv"
        self.host = host
        self._scratch = home / "pip"
        self._place = Stamp(home / "stamps" / "venv-place")
        self._contents = Stamp(home / "stamps" / "venv")

    def missing(self) -> bool:
        """Tell whether there is anything to do."""
        return not (
            os.access(self.python, os.X_OK)
            and self._place.fresh(self._place_key())
            and self._contents.fresh(self._contents_key())
        )

    def make(self, log: Log) -> str | None:
        """Create the environment, or bring it up to date."""
        clear = self._contents.unfinished() or self._moved()
        self._contents.begin()
        self._create(log, clear)
        self._install(log)
        self._place.finish(self._place_key())
        self._contents.finish(self._contents_key())
        return None

    @property
    def python(self) -> Path:
        """Return the environment's interpreter."""
        return self.folder / "bin" / "python"

    def _create(self, log: Log, clear: bool) -> None:
        words = [sys.executable, "-m", "venv", *(["--clear"] if clear else [])]
        has_pip = importlib.util.find_spec("ensurepip") is not None
        try:
            log.run([*words, *([] if has_pip else ["--without-pip"]), str(self.folder)])
            if not has_pip and not self._answers(log, "-m", "pip", "--version"):
                self._bootstrap(log)
        except CommandFailed as failed:
            raise log.error(f"Python can not make {self.folder}: {failed.reason()}") from None

    # Debian keeps pip's wheel in a package of its own, and a wheel can run itself
    def _bootstrap(self, log: Log) -> None:
        if not self.host.debian():
            raise CommandError(
                f"{sys.executable} has no ensurepip: install your system's python3-venv, "
                "then run this again"
            )
        with whole(self._scratch) as scratch:
            source = fit(sources.mirror(sources.read(), self.host.codename))
            apt = PrivateApt(scratch, source, [self.host.architecture], log)
            apt.update()
            apt.unpack(["python3-pip-whl"], scratch / "root")
            wheel = next((scratch / "root").glob("usr/share/python-wheels/pip-*.whl"))
            offline = ["install", *_PIP, "--no-index", str(wheel)]
            log.run([str(self.python), str(wheel / "pip"), *offline])
        shutil.rmtree(self._scratch)

    def _install(self, log: Log) -> None:
        pip = [str(self.python), "-m", "pip", "install", *_PIP, "--progress-bar", "off"]
        environ = {**os.environ, "PIP_USER": "no"}
        try:
            log.run([*pip, "--editable", PROJECT], self.checkout, environ)
        except CommandFailed as failed:
            raise log.error(explain(failed, "the project's Python packages")) from None

    def _answers(self, log: Log, *words: str) -> bool:
        try:
            log.run([str(self.python), *words])
        except CommandFailed:
            return False
        return True

    # its scripts name their interpreter's full path, its packages live under the version's name
    def _moved(self) -> bool:
        return self._place.exists() and not self._place.fresh(self._place_key())

    def _place_key(self) -> str:
        return key_of(str(self.folder), os.path.realpath(self.python))

    def _contents_key(self) -> str:
        table = tomllib.loads((self.checkout / "pyproject.toml").read_text())
        project = table["project"]
        wanted = ("dependencies", "optional-dependencies", "scripts", "requires-python")
        needs = [project.get(name) for name in wanted]
        return key_of(PROJECT, table["build-system"], needs, table["tool"]["setuptools"])


def explain(failed: CommandFailed, what: str) -> str:
    """Say in one sentence why pip, or what stands for it, did not fetch something."""
    if common := failed.common(places.home()):
        return common
    if failed.unreachable():
        return (
            f"{what} can not be fetched because the package index does not answer: "
            "check the network and pip's configuration (`pip config list`), then try again"
        )
    return f"{what} can not be installed: {failed.reason('ERROR:', 'error:')}"
