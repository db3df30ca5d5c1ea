"""Serial lines: open one for ourselves alone, or say in one line why not; see what is plugged in.

Owns which ports there are and how they are opened. Doesn't own what is said over them.
"""

import argparse
import errno
import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import serial  # type: ignore[import-untyped]
from serial.tools import list_ports as plugged  # type: ignore[import-untyped]

from host_tools.errors import CommandError
from host_tools.printable import printable

_PROTOCOLS = "host_tools.serial_protocols"
# makers of what ESP32 boards have between USB and UART, and Espressif itself
_MAKERS = (0x303A, 0x10C4, 0x1A86, 0x0403, 0x067B)
_NO_LOGIN = "a port takes no user and password: write rfc2217://HOST:PORT"


class LineError(CommandError):
    """A port that can not be opened."""


def use_fast_protocols() -> None:
    """Have pyserial use our rfc2217:// and socket://, for whoever opens a port in this process."""
    if _PROTOCOLS not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.insert(0, _PROTOCOLS)


def open_line(url: str, baud: int = 115200, timeout: float | None = 3.0) -> serial.SerialBase:
    """Return the port, opened for this process alone; raise LineError.

    url: a device such as /dev/ttyUSB0, COM3, rfc2217://host:port or socket://host:port. timeout:
    seconds that a read waits, None for ever.
    """
    use_fast_protocols()
    if has_login(url):
        raise LineError(_NO_LOGIN)
    try:
        _check(url)
        return serial.serial_for_url(url, baudrate=baud, timeout=timeout, exclusive=True)
    except serial.SerialException as error:
        raise LineError(_why(url, error)) from None
    except (ValueError, OSError) as error:
        raise LineError(f"{url}: {error}") from None


def has_login(port: str) -> bool:
    """Tell whether a port is a URL with user or password, which no protocol of ours would use."""
    return "@" in port.partition("://")[2]


def port_argument(text: str) -> str:
    """Return a port as it is written in a command; argparse.ArgumentTypeError."""
    if has_login(text):  # it would be in the ledger, as the port's name
        raise argparse.ArgumentTypeError(_NO_LOGIN)
    return text


def list_ports() -> list[str]:
    """Return the ports at which a board may be: those on USB, likely ones first."""
    found = [port for port in plugged.comports() if port.vid is not None]
    found.sort(key=lambda port: (port.vid not in _MAKERS, port.device))
    return [port.device for port in found]


def _check(url: str) -> None:
    scheme = url.partition("://")[0].lower()
    if scheme in ("rfc2217", "socket"):
        parts = urlsplit(url)
        if not parts.hostname or not parts.port:
            raise ValueError(f"write {scheme}://HOST:PORT")


def _why(url: str, error: serial.SerialException) -> str:
    if "://" in url:
        return _why_not_reached(url, error)
    number = error.errno if isinstance(error.errno, int) else 0
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        there = ", ".join(list_ports()) or "none"
        return f"{url}: there is no such port; ports on USB: {there}"
    if number in (errno.EACCES, errno.EPERM):
        return f"{url}: permission denied; add yourself to its group ({_group(url)}), log in anew"
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{url}: in use by {_holder(url)}; one station at a time can have a port"
    return f"{url}: {error}"


def _why_not_reached(url: str, error: serial.SerialException) -> str:
    said = str(error.strerror or error)
    if error.errno == errno.ECONNREFUSED:
        return f"{url}: nothing listens there"
    said = said.removeprefix(f"Could not open port {url}: ").removeprefix(f"{url}: ")
    return f"{url}: {printable(said)}"


def _group(device: str) -> str:
    try:
        return Path(device).group()
    except (OSError, KeyError):
        return "dialout"


def _holder(device: str) -> str:
    """Return who has a device open, as far as this user may see it."""
    real = os.path.realpath(device)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name != str(os.getpid()) and _has_open(process, real):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:  # another's process, or one that ended
            continue
    return "another program"


def _has_open(process: Path, file: str) -> bool:
    """Tell whether a process of /proc has a file open; OSError if it ended."""
    with os.scandir(process / "fd") as descriptors:  # a glob would raise what it can not list
        for descriptor in descriptors:
            with suppress(FileNotFoundError):  # closed meanwhile
                if os.readlink(descriptor) == file:
                    return True
    return False
