"""A browser for the portal's tests: found on this machine, or installed where that is allowed.

`python3 -m host_tools.toolchain.browser` installs Debian's Chromium and says where it is. Unlike
the set-up itself it needs root: a browser wants fonts and libraries in their own places.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from host_tools.errors import CommandError
from host_tools.toolchain import places
from host_tools.toolchain.log import CommandFailed, Log

VARIABLE = "CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium on this machine: run `make setup-browser` as root, or name one in $CHROMIUM"
# a browser that is driven by a test: no window, no sandbox of its own, nothing from the network
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_INSTALL = (
    ("apt-get", "-qq", "update"),
    ("apt-get", "-qq", "install", "-y", "--no-install-recommends", "chromium"),
)


def find(
    environ: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
) -> Path | None:
    """Return the browser that $CHROMIUM names or PATH has; CommandError if it names none."""
    named = environ.get(VARIABLE)
    if named:
        found = which(named)
        if not found:
            raise CommandError(f"${VARIABLE} is {named}, which is no program")
        return Path(found)
    return next((Path(path) for name in NAMES if (path := which(name))), None)


def install(log: Log, user: int, which: Callable[[str], str | None] = shutil.which) -> None:
    """Install Chromium from the machine's own packages; user: who runs this; CommandError."""
    if not which("apt-get"):
        raise CommandError(
            f"Chromium can be installed here on Debian only: install it yourself, so that it is"
            f" on PATH as one of {', '.join(NAMES)}, or name it in ${VARIABLE}"
        )
    if user != 0:
        raise CommandError("installing Chromium needs root: run `sudo make setup-browser`")
    for words in _INSTALL:
        try:
            log.run(words, environ={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        except CommandFailed as failed:
            reason = failed.common(Path("/")) or failed.reason("E:")
            raise log.error(f"Chromium can not be installed: {reason}") from None


def main(words: Sequence[str] = ()) -> int:
    """Find or install a browser; return the exit code."""
    if words:
        print("usage: python3 -m host_tools.toolchain.browser", file=sys.stderr)
        return 2
    try:
        if find() is None:
            install(Log(places.home() / "browser.log"), os.geteuid())
        found = find()
        if found is None:
            raise CommandError(MISSING)
    except CommandError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
