"""Records: what the two services remember of a device.

Owns the values only; store.py keeps them, dps.py and hub.py give them meaning.
"""

from dataclasses import dataclass

from host_tools.emulator.dps.enrollment import KeyPair


@dataclass(frozen=True, slots=True)
class Registration:
    """DPS's registration record: who was assigned where, and when."""

    registration_id: str
    device_id: str
    hub: str
    enrollment_group: str  # "" under an individual enrollment
    substatus: str
    etag: str
    created: float  # seconds since 1970
    updated: float


@dataclass(frozen=True, slots=True)
class Identity:
    """A device in a hub's registry; either key opens the door."""

    hub: str
    device_id: str
    keys: KeyPair
    enabled: bool = True
