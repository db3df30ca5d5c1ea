"""Calls: the direct methods that were invoked on the portal, and what came of them.

Owns the list of each device's calls. Doesn't own the call itself: that is the hub's.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.methods import MethodAnswer

_PER_DEVICE = 10
_DEVICES = 200


@dataclass(slots=True)
class Call:
    """One call; without an outcome it still waits."""

    name: str
    payload: str
    began: float
    limit: int  # seconds until it is given up
    ended: float = 0.0
    outcome: MethodAnswer | ServiceError | None = None


class Calls:
    """The latest calls of the devices that were called last."""

    def __init__(self) -> None:
        self._devices: OrderedDict[tuple[str, str], deque[Call]] = OrderedDict()

    def add(self, hub: str, device_id: str, call: Call) -> None:
        """Remember a call."""
        key = hub, device_id
        self._devices.setdefault(key, deque(maxlen=_PER_DEVICE)).append(call)
        self._devices.move_to_end(key)
        if len(self._devices) > _DEVICES:
            self._devices.popitem(last=False)

    def of(self, hub: str, device_id: str) -> list[Call]:
        """Return a device's calls, the latest first."""
        return list(reversed(self._devices.get((hub, device_id), ())))
