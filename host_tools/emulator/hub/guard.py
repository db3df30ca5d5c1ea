"""Guard: what a hub does about a store that fails: an event, and error 500001 for who asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event, Failed
from host_tools.emulator.store.database import StoreError


class Guard:
    """What one hub does about a StoreError."""

    def __init__(self, hub: str, tell: Callable[[Event], None]) -> None:
        self.now = 0.0  # of who does not say when; to a quarter of a second
        self._hub = hub
        self._tell = tell

    @contextmanager
    def storing(self, device_id: str, now: float = 0) -> Iterator[None]:
        """Make a StoreError of the block's ServiceError 500001, and tell the operator."""
        try:
            yield
        except StoreError as error:
            self._tell_failed(device_id, error, now or self.now, "error 500001")
            raise ServiceError(500001, "Internal server error.") from None

    @contextmanager
    def noting(self, device_id: str, now: float) -> Iterator[None]:
        """Tell the operator of a StoreError of the block's: nobody else waits for an answer."""
        try:
            yield
        except StoreError as error:
            self._tell_failed(device_id, error, now, "nothing")

    def _tell_failed(self, device_id: str, error: StoreError, now: float, answer: str) -> None:
        why = f"its state can not be kept or read: {error}"
        self._tell(Failed(now, self._hub, device_id, why, answer))
