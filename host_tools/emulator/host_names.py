"""Host names: what may stand where a hub or this machine is named.

Owns the rule, label by label, when two are the same, and the name by which a listening host is
dialled.
"""

import platform
import re
from collections.abc import Container

_LABEL = "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_WITH_PORT = re.compile(r"([^:]+)(?::([0-9]{1,5}))?")
_EVERYWHERE = ("0.0.0.0", "::")

RULE = "labels of letters, digits and dashes with dots between them"


def is_host_name(text: str) -> bool:
    """Tell whether text is a host name or an IPv4 address, without a port."""
    return _NAME.fullmatch(text) is not None


# {host}[:{port}]
def without_port(text: str) -> str:
    """Return the host in lower case; "" if text is not a host with or without a port."""
    match = _WITH_PORT.fullmatch(text)
    if not match or int(match[2] or 0) > 65535:
        return ""
    return match[1].lower()


class HostNames(Container[str]):
    """The names that one service goes by; case and a port behind them are of no account."""

    def __init__(self, *names: str) -> None:
        """names: of which "" is none."""
        self._names = {name.lower() for name in names} - {""}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not self._names.isdisjoint(
            (name.lower(), without_port(name))
        )


def dialable(host: str) -> str:
    """Return the name by which others reach a program that listens on host."""
    if host not in _EVERYWHERE:
        return host
    name = platform.node()
    return name if is_host_name(name) else "localhost"


def place(host: str, port: int) -> str:
    """Return host and port as one word."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
