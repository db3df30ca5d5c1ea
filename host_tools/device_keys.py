"""Device keys: the pair that belongs into a board's factory record, derived from its name.

Owns that primary and secondary come from a source each, one after another. Doesn't own where a
group's key is (key_sources), nor the record (keystead.record).
"""

import argparse
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from host_tools import key_sources
from host_tools.key_sources import KeySource


class DeviceKeys:
    """Device keys from the group's key sources, for threads: tokens and prompts have one place."""

    def __init__(self, primary: KeySource, secondary: KeySource | None = None) -> None:
        self._primary, self._secondary = primary, secondary
        self._lock = threading.Lock()

    def primary(self, registration_id: str) -> bytes:
        """Return the primary device key; CommandError."""
        with self._lock:
            return self._primary.derive(registration_id)

    def device_keys(self, registration_id: str) -> tuple[bytes, bytes]:
        """Return primary and secondary device key, the latter b"" if there is none.

        Raises CommandError.
        """
        with self._lock:
            primary = self._primary.derive(registration_id)
            other = self._secondary.derive(registration_id) if self._secondary else b""
        return primary, other


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[DeviceKeys]:
    """Lend the device keys of the sources that the arguments name; CommandError."""
    with ExitStack() as stack:
        primary = stack.enter_context(key_sources.from_arguments(args))
        secondary = key_sources.secondary_from_arguments(args)
        yield DeviceKeys(primary, stack.enter_context(secondary) if secondary else None)
