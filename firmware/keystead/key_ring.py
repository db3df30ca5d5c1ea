"""The key ring: which device key signs.

Owns the choice among the factory record's pair, a pair that came by the cloud in its place, and a
new pair that is on trial; and the layout in which the choice is kept. Doesn't own the flash: keep
pack() after every call that may have changed it. Keys go in, tokens come out.

A new pair is put beside the others and tried: only when the service has let the device in with
one of its keys does it take its place. Refused too often, it is given up. Then it stays as the
very last resort, as the factory's pair is one: somebody may have changed the service's keys late.

    offset  bytes  field (little-endian)
    0       1      version, 1
    1       4      CRC of the factory record that the ring belongs to
    5       1      the key that worked last: 0 and 1 factory's pair, 2 and 3 rotated pair
    6       1      the key whose turn it is: one of these, or 4 and 5, new pair
    7       1      refusals left until the new pair is given up, 0: it is not on trial
    8       ...    four keys, each one length byte and that many bytes: rotated pair, new pair;
                   those that are not there are empty
"""

import struct

from keystead.failure import Failure
from keystead.record import KEY_SIZES, FactoryRecord, join, split
from keystead.sas import sas_token

_HEAD = "<BIBBB"
_HEAD_SIZE = 8
# each key of a new pair is tried twice: the clock may have been wrong. They are counted in flash,
# as a board that resets on the way would otherwise start over for ever
_TRIALS = 4


class KeyRing:
    """The keys of one device. trying: how many refusals the new pair has left, 0 for no trial."""

    def __init__(self, record: FactoryRecord, blob: bytes | None = None):
        """blob: what pack() said, if it was kept; another record's is void."""
        self._owner = record.crc()
        self._keys = record.keys() + [b""] * 4
        self._works = self._at = self.trying = 0
        if not blob or len(blob) < _HEAD_SIZE:
            return
        version, owner, works, at, trying = struct.unpack(_HEAD, blob[:_HEAD_SIZE])
        keys = self._keys[:2] + split(blob[_HEAD_SIZE:])
        if version != 1 or owner != self._owner or len(keys) != 6 or works > 3 or at > 5:
            return
        if keys[works] and keys[at] and (at > 3 or not trying):
            self._keys, self._works, self._at, self.trying = keys, works, at, trying

    def pack(self) -> bytes:
        """Return the bytes to keep. They hold keys."""
        head = struct.pack(_HEAD, 1, self._owner, self._works, self._at, self.trying)
        return head + join(self._keys[2:])

    def token(self, resource: str, expiry: int, policy: str = "") -> str:
        """Return a SAS token for resource, signed with the key whose turn it is."""
        return sas_token(resource, self._keys[self._at], expiry, policy)

    def refused(self) -> bool:
        """Take note that the service refused the key: it is another's turn.

        True: which was not refused in this round, so that its turn need not wait long.
        """
        if self.trying:
            self.trying -= 1
            if not self.trying:
                self._at = self._works
                return True
        while True:
            self._at = (self._at + 1) % 6
            if self._keys[self._at] and (self._at > 3 or not self.trying):
                return self._at != (4 if self.trying else self._works)

    def unheard(self) -> None:
        """Take note that the new pair's key was shown, and nobody said a word: its turn lasts."""
        self.trying -= 1
        if not self.trying:
            self.abandon()

    def works(self) -> bool:
        """Take note that the hub took the key. True: another one than before, keep pack()."""
        if self.trying or self._at == self._works:
            return False
        self.confirm()
        return True

    def propose(self, primary: bytes, secondary: bytes = b"") -> bool:
        """Put a new pair on trial; False if it is in place already, and none is on trial then.

        primary, secondary: 16 to 64 bytes, the secondary may be b"". Raises Failure key-rejected.
        """
        if len(primary) not in KEY_SIZES or len(secondary or primary) not in KEY_SIZES:
            raise Failure("key-rejected", "a key is not of 16 to 64 bytes")
        pair = [primary, secondary]
        in_place = self._works & 2
        if pair == self._keys[in_place : in_place + 2]:
            if self.trying:
                self.abandon()
            return False
        self._keys[4:] = pair
        self._at = 4
        self.trying = _TRIALS
        return True

    def confirm(self) -> None:
        """Let the key whose turn it is be the one that works; a new pair takes its place."""
        if self._at > 3:
            self._at -= 2
            self._keys[2:] = self._keys[4:] + [b"", b""]  # noqa: RUF005
        self._works = self._at
        self.trying = 0

    def abandon(self) -> None:
        """Give the new pair up."""
        self._at = self._works
        self.trying = 0
