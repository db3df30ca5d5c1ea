"""A key source: whatever can derive device keys for one enrollment group.

Owns the interface, and the source whose group key was read into this process. Doesn't own where
the key comes from: each of those is a module beside this one.
"""

import codecs
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from host_tools.keys import Deriver, decode_secret


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
    """A source that was given the group key, and keeps only what derives: see keys.Deriver."""

    def __init__(self, group_key: bytes | bytearray, label: str) -> None:
        self.label = label
        self._deriver: Deriver | None = Deriver(group_key)

    @classmethod
    def from_text(cls, text: str | bytearray, label: str) -> Self:
        """Take a group key in Base64; CommandError.

        A bytearray is overwritten, and the key is then nowhere in this process. A str can not be.
        """
        raw = text if isinstance(text, bytearray) else bytearray(text.encode(errors="replace"))
        if raw.startswith(codecs.BOM_UTF8):  # as editors on Windows begin a file
            raw[: len(codecs.BOM_UTF8)] = b" " * len(codecs.BOM_UTF8)  # nothing moves
        key = bytearray()
        try:
            key = decode_secret(raw, label)
            return cls(key, label)
        finally:
            for secret in (raw, key):
                secret[:] = bytes(len(secret))

    def __repr__(self) -> str:
        return f"HeldKey({self.label!r})"

    def derive(self, registration_id: str) -> bytes:
        """Return the 32-byte device key of a member of the group."""
        return self._open().derive(registration_id)

    def many(self, registration_ids: Sequence[bytes]) -> list[bytes]:
        """Return the device keys of many members, in their order."""
        return self._open().many(registration_ids)

    def close(self) -> None:
        """Let go of what derives; OpenSSL overwrites a hash's state when it is freed."""
        self._deriver = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Deriver:
        if self._deriver is None:
            raise ValueError(f"{self.label}: this source is closed")
        return self._deriver
