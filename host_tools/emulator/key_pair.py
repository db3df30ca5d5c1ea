"""Key pair: the two keys that a device, an enrollment or a policy signs with.

Owns that either of them opens the door, and the making of new ones. Doesn't own whose they are.
Source: "Symmetric key attestation".
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from host_tools.keys import derive_device_key

KEY_SIZE = 64  # bytes of a generated key, as the portal makes them


@dataclass(frozen=True)
class KeyPair:
    """A primary and a secondary key, both valid; b"" is one that is still to be generated."""

    primary: bytes = field(default=b"", repr=False)
    secondary: bytes = field(default=b"", repr=False)

    def __iter__(self) -> Iterator[bytes]:
        return iter((self.primary, self.secondary))

    def completed(self, spare: "KeyPair") -> "KeyPair":
        """Return this pair, with spare's key where there is none."""
        return KeyPair(self.primary or spare.primary, self.secondary or spare.secondary)

    def derived_for(self, registration_id: str) -> "KeyPair":
        """Return the device keys of one member of the group whose keys these are."""
        return KeyPair(*(derive_device_key(key, registration_id) for key in self))


NO_KEYS = KeyPair()


def generate_keys(
    random: Callable[[int], bytes] = secrets.token_bytes, size: int = KEY_SIZE
) -> KeyPair:
    """Return two new keys of so many bytes."""
    return KeyPair(random(size), random(size))
