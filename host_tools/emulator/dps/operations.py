"""Operations: registrations under way at DPS, between "register" and "assigned".

Owns their IDs, how often each still answers "assigning", and when one is forgotten. Kept in
memory only: a device that asks for an operation that is gone starts again with "register".
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from host_tools.emulator.dps.bodies import guid
from host_tools.emulator.dps.enrollment import fold
from host_tools.emulator.dps.webhook import Outcome
from host_tools.emulator.records import Registration

LIFETIME = 600  # seconds after the last poll
_MOST = 100_000  # operations: whoever registers over and over must not fill the memory


@dataclass(slots=True)
class Operation:
    """One registration under way."""

    operation_id: str
    registration_id: str
    replies_left: int  # "assigning" so many times more
    touched: float
    waiting: bool = False  # for the web-hook
    allocation: Outcome | None = None  # what the web-hook said
    outcome: Registration | None = None


class Operations:
    """All registrations under way, those asked for longest ago first.

    Time is the clock that nobody sets.
    """

    def __init__(self, assigning_replies: int, random: Callable[[int], bytes]) -> None:
        self._assigning_replies = assigning_replies
        self._random = random
        self._operations: OrderedDict[str, Operation] = OrderedDict()
        self._latest: dict[str, Operation] = {}  # by folded registration ID

    # {digit}.{16 hex digits}.{GUID}
    def begin(self, registration_id: str, tick: float) -> Operation:
        """Return a new operation."""
        self.expire(tick)
        operation_id = f"5.{self._random(8).hex()}.{guid(self._random)}"
        operation = Operation(operation_id, registration_id, self._assigning_replies, tick)
        self._operations[operation_id] = operation
        self._latest[fold(registration_id)] = operation
        return operation

    def find(self, operation_id: str, registration_id: str, tick: float) -> Operation | None:
        """Return a device's operation; another device's is as unknown as none."""
        self.expire(tick)
        operation = self._operations.get(operation_id)
        if not operation or fold(operation.registration_id) != fold(registration_id):
            return None
        operation.touched = tick
        self._operations.move_to_end(operation_id)  # now the youngest
        return operation

    def is_latest(self, operation: Operation) -> bool:
        """Tell whether the device has not begun another one since."""
        return self._latest.get(fold(operation.registration_id)) is operation

    def expire(self, tick: float) -> None:
        """Forget what nobody asked for so long."""
        while self._operations:
            oldest = next(iter(self._operations.values()))
            if tick - oldest.touched <= LIFETIME and len(self._operations) < _MOST:
                break
            del self._operations[oldest.operation_id]
            if self.is_latest(oldest):
                del self._latest[fold(oldest.registration_id)]
