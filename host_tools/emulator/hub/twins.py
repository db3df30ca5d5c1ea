"""Twins: those of one hub's devices, in the store and, if used lately, at hand.

Owns where they are kept and who hears of a change, which is in the store before. A twin that was
never changed is not in the store, and one that nobody used lately not in memory: thousands of
devices cost little. Doesn't own what a change does (twin.py).
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from host_tools.emulator import etags
from host_tools.emulator.events import Event
from host_tools.emulator.hub.events import TwinChanged
from host_tools.emulator.hub.twin import Edit, Twin
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.twins import TwinTable

_AT_HAND = 1024  # twins


class Twins:
    """The twins of one hub; every method may raise StoreError."""

    def __init__(
        self,
        hub: str,
        database: Database,
        tell: Callable[[Event], None],
        created: Callable[[str], float],
        announce: Callable[[str, dict[str, Any]], None],
        at_hand: int = _AT_HAND,
    ) -> None:
        """created: tells since when there is a device, or raises.

        announce: sends a device the patch of its desired properties, with their version.
        """
        self._hub = hub
        self._tell = tell
        self._created = created
        self._announce = announce
        self._most_at_hand = at_hand
        self._table = TwinTable(database)
        self._at_hand: OrderedDict[str, Twin] = OrderedDict()

    def find(self, device_id: str) -> Twin:
        """Return a device's twin; ServiceError 404001."""
        twin = self._at_hand.get(device_id)
        if twin is None:
            created = self._created(device_id)
            text = self._table.find(self._hub, device_id)
            twin = Twin.restored(text) if text else Twin.new(created)
        self._put(device_id, twin)
        return twin

    def patch(self, device_id: str, patch: object, now: float, if_match: str) -> Twin:
        """Merge the service's patch into a twin; ServiceError 400004, 404001, 412001, 413001."""
        twin = self.find(device_id)
        etags.check(if_match, twin.etag)
        return self._edit(device_id, twin.patched(patch, now), now)

    def replace(self, device_id: str, document: object, now: float, if_match: str) -> Twin:
        """Replace what the service's document has; as patch()."""
        twin = self.find(device_id)
        etags.check(if_match, twin.etag)
        return self._edit(device_id, twin.replaced(document, now), now)

    def report(self, device_id: str, patch: bytes, now: float) -> int:
        """Merge a device's patch into its reported properties; return their version.

        ServiceError 400004, 413001.
        """
        twin = self.find(device_id).report(patch, now)
        self.keep(device_id, twin)
        version = twin.reported_section.version
        self._tell(TwinChanged(now, self._hub, device_id, "reported", version))
        return version

    def _edit(self, device_id: str, edit: Edit, now: float) -> Twin:
        twin = edit.twin
        if not edit.tags and edit.desired is None:
            return twin
        self.keep(device_id, twin)
        if edit.tags:
            self._tell(TwinChanged(now, self._hub, device_id, "tags", twin.version))
        if edit.desired is not None:
            version = twin.desired_section.version
            self._tell(TwinChanged(now, self._hub, device_id, "desired", version))
            self._announce(device_id, {**edit.desired, "$version": version})
        return twin

    def begin(self, device_id: str, initial: object, now: float) -> None:
        """Give a new device a twin that is not empty, if initial says so; ServiceError 400004."""
        if initial:
            self._table.keep(self._hub, device_id, Twin.initial(initial, now).stored())

    def keep(self, device_id: str, twin: Twin) -> None:
        """Keep a changed twin."""
        self._table.keep(self._hub, device_id, twin.stored())
        self._put(device_id, twin)

    def let_go(self, device_id: str) -> None:
        """Have a twin read again: a transaction around keep() may yet fail."""
        self._at_hand.pop(device_id, None)

    def forget(self, device_id: str) -> None:
        """Forget the twin of a device that is deleted."""
        self._at_hand.pop(device_id, None)
        self._table.delete(self._hub, device_id)

    def _put(self, device_id: str, twin: Twin) -> None:
        self._at_hand[device_id] = twin
        self._at_hand.move_to_end(device_id)
        if len(self._at_hand) > self._most_at_hand:
            self._at_hand.popitem(last=False)
