"""A key source: whatever can derive device keys for one enrollment group.

Owns the interface, and the source that holds the group key in this process's memory. Doesn't own
where the key comes from: each of those is a module beside this one.
"""

from types import TracebackType
from typing import Protocol, Self

from host_tools import keys


class KeySource(Protocol):
    """Derives device keys; a context manager that closes itself.

    `label` says where the key is, for people: "the group key in KEYSTEAD_GROUP_KEY". It never
    holds a key, a PIN or a password.
    """

    @property
    def label(self) -> str:
        """Return where the group key is, in words."""

    def derive(self, registration_id: str) -> bytes:
        """Return the 32-byte device key of a member of the group; CommandError if it can not."""

    def close(self) -> None:
        """Forget the key, end the session; more than once does no harm."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class HeldKey:
    """A group key in this process's memory; overwritten with zeros when it is closed."""

    def __init__(self, key: bytes | bytearray, label: str) -> None:
        self.label = label
        self._key = bytearray(key)

    def __repr__(self) -> str:
        return f"HeldKey({self.label})"

    def derive(self, registration_id: str) -> bytes:
        """Return the 32-byte device key of a member of the group."""
        if not self._key:
            raise ValueError("this key source is closed")
        return keys.derive_device_key(self._key, registration_id)

    def close(self) -> None:
        """Overwrite the key."""
        self._key[:] = bytes(len(self._key))
        self._key.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
