"""A step of the set-up, for `make check` only: type stubs of MicroPython on the ESP32.

They lie in a folder of their own: their `ssl`, `requests`, ... would shadow real packages.
"""

from pathlib import Path

from host_tools.toolchain.environment import explain
from host_tools.toolchain.log import CommandFailed, Log
from host_tools.toolchain.stamps import Stamp, key_of, whole

REQUIREMENT = "micropython-esp32-stubs==1.28.0.post4"


class Stubs:
    """The folder of stubs that mypy reads the firmware with."""

    label = "type stubs of the ESP32's MicroPython"

    def __init__(self, home: Path, python: Path) -> None:
        self.folder = home / "stubs"
        self._python = python
        self._stamp = Stamp(home / "stamps" / "stubs")

    def missing(self) -> bool:
        """Tell whether there is anything to do."""
        return not (self.folder.is_dir() and self._stamp.fresh(key_of(REQUIREMENT)))

    def make(self, log: Log) -> str | None:
        """Install them into their folder."""
        pip = [str(self._python), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
        with whole(self.folder) as folder:
            try:
                log.run([*pip, "--target", str(folder), REQUIREMENT])
            except CommandFailed as failed:
                raise log.error(explain(failed, "the type stubs")) from None
        self._stamp.finish(key_of(REQUIREMENT))
        return None
