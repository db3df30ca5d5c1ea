"""Twin: the two documents that a hub and a device keep of each other.

Owns the merge patch and the versions. Doesn't own topics: that is hub_peer.py. So far nobody but
the device changes it, and it lives as long as the process.
Source: "Understand and use device twins in IoT Hub"; RFC 7396.
"""

import json
from typing import Any


class TwinError(Exception):
    """The patch can not be taken."""


class Twin:
    """Desired properties, written by the cloud, and reported ones, written by the device."""

    def __init__(self) -> None:
        self._reported: dict[str, Any] = {}
        self._version = 1

    # {"desired": {..., "$version": n}, "reported": {..., "$version": m}}
    def document(self) -> bytes:
        """Return both as the device reads them."""
        reported = {**self._reported, "$version": self._version}
        document = {"desired": {"$version": 1}, "reported": reported}
        return json.dumps(document, separators=(",", ":")).encode()

    def report(self, patch: bytes) -> int:
        """Merge the device's patch into what it reported; return the new version."""
        try:
            changes = json.loads(patch)
        except (ValueError, RecursionError):
            raise TwinError("the patch is not JSON") from None
        if not isinstance(changes, dict):
            raise TwinError("the patch is not a JSON object")
        self._reported = _merged(self._reported, changes)
        self._version += 1
        return self._version


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
