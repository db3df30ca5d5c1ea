"""Records: what DPS remembers of a device.

Owns the values only: store/registrations.py keeps them, dps/ gives them meaning.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Registration:
    """DPS's registration record: who was assigned where, and when."""

    registration_id: str
    device_id: str  # this and the hub: of the last assignment, "" if there was none yet
    hub: str
    enrollment_group: str  # "" under an individual enrollment
    substatus: str
    etag: str
    created: float  # seconds since 1970
    updated: float
    status: str = "assigned"  # or "failed", "disabled": what came of the last registration
    error_code: int | None = None
    error_message: str = ""
    payload: Any = None  # what a custom allocation gave the device
