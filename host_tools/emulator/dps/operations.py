"""Operations: registrations under way at DPS, between "register" and "assigned".

Owns their IDs, how often each still answers "assigning", and when one is forgotten. Kept in
memory only: a device that asks for an operation that is gone starts again with "register".
"""

import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from host_tools.emulator.dps.enrollment import fold
from host_tools.emulator.records import Registration

LIFETIME = 600  # seconds after the last poll


@dataclass(slots=True)
class Operation:
    """One registration under way."""

    operation_id: str
    registration_id: str
    replies_left: int  # "assigning" so many times more
    touched: float
    outcome: Registration | None = None


class Operations:
    """All registrations under way, those asked for longest ago first."""

    def __init__(self, assigning_replies: int, random: Callable[[int], bytes]) -> None:
        self._assigning_replies = assigning_replies
        self._random = random
        self._operations: OrderedDict[str, Operation] = OrderedDict()

    # {digit}.{16 hex digits}.{GUID}
    def begin(self, registration_id: str, now: float) -> Operation:
        """Return a new operation."""
        self._forget(now)
        operation_id = f"5.{self._random(8).hex()}.{guid(self._random)}"
        operation = Operation(operation_id, registration_id, self._assigning_replies, now)
        self._operations[operation_id] = operation
        return operation

    def find(self, operation_id: str, registration_id: str, now: float) -> Operation | None:
        """Return a device's operation; another device's is as unknown as none."""
        self._forget(now)
        operation = self._operations.get(operation_id)
        if not operation or fold(operation.registration_id) != fold(registration_id):
            return None
        operation.touched = now
        self._operations.move_to_end(operation_id)  # now the youngest
        return operation

    def _forget(self, now: float) -> None:
        while self._operations:
            oldest = next(iter(self._operations.values()))
            if now - oldest.touched <= LIFETIME:
                break
            del self._operations[oldest.operation_id]


def guid(random: Callable[[int], bytes]) -> str:
    """Return a random GUID."""
    return str(uuid.UUID(bytes=random(16), version=4))
