"""Device: one identity in a hub's registry, and whether it is there.

Owns the values and the rule for device IDs. Doesn't own the registry (hub.py) nor the rows
(store/devices.py).
Source: "Understand the identity registry in your IoT hub".
"""

import re
from dataclasses import dataclass

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.key_pair import KeyPair
from host_tools.keys import SIZES

# the service also lists + and #, which no topic can hold, so no device could ever use them
_DEVICE_ID = re.compile(r"[0-9A-Za-z:._%*?!(),=@;$'-]{1,128}")
RULE = "at most 128 letters, digits and - : . _ % * ? ! ( ) , = @ ; $ '"


@dataclass(frozen=True, slots=True)
class Device:
    """A device in a hub's registry; either key opens the door."""

    hub: str
    device_id: str
    keys: KeyPair  # its repr hides them
    enabled: bool = True
    status_reason: str = ""
    generation_id: str = ""  # tells a device from an earlier one with the same ID
    etag: str = ""
    created: float = 0  # seconds since 1970
    updated: float = 0  # of the status
    edge: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a device is connected, and since when it is or is not."""

    connected: bool
    since: float  # seconds since 1970; 0: it never was
    last_activity: float  # 0: none


def check_device_id(device_id: object) -> None:
    """Raise ServiceError unless device_id can be one."""
    if not isinstance(device_id, str) or not _DEVICE_ID.fullmatch(device_id):
        raise ServiceError(400004, f"{str(device_id)[:140]!r} is not a device ID: {RULE}")


def check_keys(keys: KeyPair) -> None:
    """Raise ServiceError unless both keys are there and of a size that the service takes."""
    for key in keys:
        if len(key) not in SIZES:
            raise ServiceError(400004, f"a device key has {len(key)} bytes, 16 to 64 are taken")
