"""Plan: what every device of a fleet does, and who the devices are.

Owns names, keys and logins. Doesn't own when anything is sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.errors import CommandError
from host_tools.keys import derive_device_key
from keystead.registration_id import InvalidRegistrationID, check

DPS_HOST = "global.azure-devices-provisioning.net"
PREFIX = "fleet-"


@dataclass(frozen=True)
class Plan:
    """What all devices have in common."""

    id_scope: str
    hub: str  # where they go straight when they do not ask DPS
    dps_host: str = DPS_HOST
    clean: bool = True
    keep_alive: int = 240  # seconds
    limit: float = 60  # seconds for any answer: a hand-shake waits for thousands of others
    token_life: int = 86400  # seconds
    payload: bytes = b'{"temperature":21.5}'


# {"fleet":"xxxx"}
def body(size: int) -> bytes:
    """Return a message's body of so many bytes, JSON if there is room for it."""
    frame = b'{"fleet":"%b"}'
    room = size - len(frame) + 2
    return frame % (b"x" * room) if room >= 0 else b"1" * size


@dataclass(frozen=True)
class Member:
    """One device: its registration ID and its own key."""

    name: str
    key: bytes = field(repr=False)


def members(group: EnrollmentGroup, count: int, prefix: str, first: int) -> Iterator[Member]:
    """Return count devices of a group, numbered from first; raise CommandError."""
    try:
        check(f"{prefix}{first + count - 1}", wide=True)
    except InvalidRegistrationID as error:
        raise CommandError(f"--prefix {prefix[:80]!r} makes no names: {error}") from None
    for number in range(first, first + count):
        yield member(group, f"{prefix}{number}")


def member(group: EnrollmentGroup, name: str) -> Member:
    """Return one device of a group."""
    return Member(name, derive_device_key(group.keys.primary, name))


def home(config: Config, group: EnrollmentGroup) -> str:
    """Return the hub that devices of a group go to when they do not ask DPS."""
    return (*group.hubs, *config.hubs)[0]


def choose_group(config: Config, name: str, file: str) -> EnrollmentGroup:
    """Return the group with this name, or the first; raise CommandError without a key in file."""
    named = [one for one in config.groups if not name or one.name == name]
    if not named:
        what = f"no enrollment group {name!r}" if name else "no [[enrollment_group]]"
        raise CommandError(f"{file} has {what}: the devices of a fleet are members of one")
    group = named[0]
    if not group.keys.primary:
        raise CommandError(
            f"enrollment group {group.name!r} in {file} has no primary_key: write the one that"
            " `keystead cloud --show-keys` prints there, or your own, and restart the cloud"
        )
    return group
