"""The factory record: what the factory installs in a board's flash, and all it installs.

Owns the layout and its checks, on both sides of the serial line. Doesn't own the flash.

    offset  bytes  field (little-endian)
    0       2      b"KS"
    2       1      version, 1
    3       1      0
    4       2      length of the whole record
    6       6      MAC of the board it belongs to
    12      ...    five texts, each one length byte and that many bytes: ID scope,
                   registration ID, DPS endpoint, primary device key, secondary device key
    end-4   4      CRC-32 of all before

Every version keeps offsets 0 to 5 and the CRC at the end, so that an old board can tell a newer
record from a damaged one.
"""

import binascii
import struct

from keystead.failure import Failure

VERSION = 1
ENDPOINT = "global.azure-devices-provisioning.net"

_HEAD = "<2sBBH6s"
_HEAD_SIZE = 12
KEY_SIZES = range(16, 65)  # bytes, as the service accepts


class FactoryRecord:
    """Who the board is, and the keys by which it proves it."""

    def __init__(
        self,
        mac: bytes,
        id_scope: str,
        registration_id: str,
        primary_key: bytes,
        secondary_key: bytes = b"",
        endpoint: str = ENDPOINT,
    ):
        """mac: 6 bytes; keys: 16 to 64 bytes, the secondary may be b"". Raises Failure."""
        self.mac = mac
        self.id_scope = id_scope
        self.registration_id = registration_id
        self.endpoint = endpoint
        self._primary_key = primary_key
        self._secondary_key = secondary_key
        self._check()

    def __repr__(self) -> str:
        return "FactoryRecord(%s, %s)" % (self.id_scope, self.registration_id)

    def _check(self) -> None:
        if len(self.mac) != 6 or not self.id_scope or not self.registration_id:
            raise Failure("record-garbled", "MAC, ID scope or registration ID is missing")
        if len(self._primary_key) not in KEY_SIZES:
            raise Failure("record-garbled", "device key is not of 16 to 64 bytes")
        if self._secondary_key and len(self._secondary_key) not in KEY_SIZES:
            raise Failure("record-garbled", "secondary device key is not of 16 to 64 bytes")
        if max(map(len, self._fields())) > 255:
            raise Failure("record-garbled", "a text is longer than 255 bytes")

    def _fields(self) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        id_scope, name, endpoint = self.id_scope, self.registration_id, self.endpoint
        texts = id_scope.encode(), name.encode(), endpoint.encode()
        # MicroPython has no (*texts, ...)
        return texts + (self._primary_key, self._secondary_key)  # noqa: RUF005

    def pack(self) -> bytes:
        """Return the record's bytes."""
        body = join(self._fields())
        size = _HEAD_SIZE + len(body) + 4
        packed = struct.pack(_HEAD, b"KS", VERSION, 0, size, self.mac) + body
        return packed + struct.pack("<I", binascii.crc32(packed))

    def crc(self) -> int:
        """Return the CRC-32 at the record's end: what belongs to another record has another."""
        # not the CRC-32 of pack(): over its own CRC that is the same for every record
        return int(struct.unpack("<I", self.pack()[-4:])[0])

    def keys(self) -> list[bytes]:
        """Return primary and secondary device key, for keystead.key_ring only."""
        return [self._primary_key, self._secondary_key]


def join(fields: list[bytes] | tuple[bytes, ...]) -> bytes:
    """Return fields one behind the other, each with a length byte before it."""
    return b"".join(bytes([len(field)]) + field for field in fields)


def split(body: bytes) -> list[bytes]:
    """Return the fields that join() put together, none if the last one is cut."""
    fields = []
    while body:
        end = 1 + body[0]
        if len(body) < end:
            return []
        fields.append(body[1:end])
        body = body[end:]
    return fields


def unpack(blob: bytes, mac: bytes) -> FactoryRecord:
    """Return the record in blob if it is whole and belongs to the board with this MAC.

    Raises Failure: record-truncated, record-corrupt, record-newer, record-foreign,
    record-garbled. Bytes behind the record are ignored.
    """
    if len(blob) < _HEAD_SIZE:
        raise Failure("record-truncated", "%d bytes" % len(blob))
    magic, version, _, size, owner = struct.unpack(_HEAD, blob[:_HEAD_SIZE])
    if magic != b"KS":
        raise Failure("record-corrupt", "it does not begin with KS")
    if len(blob) < size:
        raise Failure("record-truncated", "%d of %d bytes" % (len(blob), size))
    if size < _HEAD_SIZE + 4 or struct.unpack("<I", blob[size - 4 : size])[0] != binascii.crc32(
        blob[: size - 4]
    ):
        raise Failure("record-corrupt", "its CRC-32 does not match")
    if version > VERSION:
        raise Failure("record-newer", "version %d" % version, version)
    if owner != mac:
        raise Failure("record-foreign", "it belongs to " + binascii.hexlify(owner).decode())
    return FactoryRecord(mac, *_texts(blob[_HEAD_SIZE : size - 4]))


def _texts(body: bytes) -> tuple[str, str, bytes, bytes, str]:
    texts = split(body)
    if len(texts) != 5:
        raise Failure("record-garbled", "%d texts instead of 5" % len(texts))
    try:
        id_scope, registration_id, endpoint = [text.decode() for text in texts[:3]]
    except UnicodeError:
        raise Failure("record-garbled", "a text is not UTF-8")
    return id_scope, registration_id, texts[3], texts[4], endpoint
