"""Open files: how many this process may have, each connection being one.

Owns the limit of the system (RLIMIT_NOFILE): raised as far as a user may, or a clear error.
"""

import sys

from host_tools.errors import CommandError

SPARE = 64  # for everything that is not a connection
_MOST = 1 << 20  # what a kernel gives to a process where nobody set a limit


def allow(connections: int) -> None:
    """Let this process have so many connections; raise CommandError."""
    most = raised(connections + SPARE)
    if most < connections + SPARE:
        raise CommandError(
            f"{connections} connections need {connections + SPARE} open files, and this user may"
            f" have {most}: raise the hard limit (`ulimit -Hn` shows it; LimitNOFILE= in a"
            " systemd unit, nofile in /etc/security/limits.conf)"
        )


def allow_all() -> None:
    """Let this process have as many connections as this user may."""
    raised(_MOST)


def raised(wanted: int) -> int:
    """Raise the limit to wanted if it is lower; return what it is then."""
    if sys.platform == "win32":  # there a socket is no file, and nothing limits them
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
