"""NVS encryption: XTS-AES-256 over each entry by itself, its address in the partition as tweak.

Owns keys (made of `secrets`), the key partition and both directions. Doesn't own pages' layout.
Headers and states of pages stay plain. Source: ESP-IDF Programming Guide, "NVS Encryption":
32 bytes of data key, 32 bytes of tweak key; the scheme with the HMAC peripheral derives both.

The chip reads encrypted NVS only if it was built for it; stock MicroPython is not.
"""

import hmac
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import host_tools.nvs.page as page
from host_tools.nvs.errors import NvsError
from host_tools.nvs.writer import check_size

KEY = 64  # bytes
HMAC_KEY = 32  # bytes, as an eFuse block has

_DATA_SEED, _TWEAK_SEED = b"\x5a\x5a\xbe\xae" * 8, b"\xa5\xa5\xde\xce" * 8
_BLOCK = 16
_BITS = 8 * _BLOCK
_NO_STATES = (1 << 256) - 1


def new_key() -> bytes:
    """Return a fresh key of 64 bytes."""
    return secrets.token_bytes(KEY)


def new_hmac_key() -> bytes:
    """Return a fresh key of 32 bytes for the chip's HMAC eFuse block (purpose HMAC_UP)."""
    return secrets.token_bytes(HMAC_KEY)


def key_of_hmac(hmac_key: bytes) -> bytes:
    """Return the NVS key that a chip derives from its HMAC eFuse key."""
    if len(hmac_key) != HMAC_KEY:
        raise NvsError(f"an HMAC eFuse key has {HMAC_KEY} bytes, this one has {len(hmac_key)}")
    seeds = (_DATA_SEED, _TWEAK_SEED)
    return b"".join(hmac.digest(hmac_key, seed, "sha256") for seed in seeds)


def key_partition(key: bytes) -> bytes:
    """Return the image of an nvs_keys partition: 4096 bytes, key and CRC at the begin."""
    _check_key(key)
    return (key + struct.pack("<I", page.crc(key))).ljust(page.SIZE, b"\xff")


def read_key_partition(image: bytes) -> bytes:
    """Return the key in an nvs_keys partition. Raises NvsError."""
    key, checked = image[:KEY], image[KEY : KEY + 4]
    if checked != struct.pack("<I", page.crc(key)):
        raise NvsError("this is no nvs_keys partition: the CRC behind the key is wrong")
    return key


def encrypt(image: bytes, key: bytes) -> bytes:
    """Return a plain image encrypted with a key of 64 bytes. Raises NvsError."""
    xts = Xts(key)
    content = bytearray(image)
    for begin, end in _written(image):
        content[begin:end] = xts.encrypt(image[begin:end], xts.masks(begin, end))
    return bytes(content)


def decrypt(image: bytes, key: bytes) -> bytes:
    """Return the plain image of an encrypted one. Raises NvsError.

    A wrong key is not seen here: reader.read finds all CRCs wrong then.
    """
    xts = Xts(key)
    content = bytearray(image)
    for begin, end in _written(image):
        content[begin:end] = xts.decrypt(image[begin:end], xts.masks(begin, end))
    return bytes(content)


def _check_key(key: bytes) -> None:
    if len(key) != KEY:
        raise NvsError(f"an NVS key has {KEY} bytes, this one has {len(key)}")
    if key[: KEY // 2] == key[KEY // 2 :]:
        raise NvsError("the halves of an NVS key must differ")  # IEEE 1619, FIPS 140 A.9


def _written(image: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each run of entries that were written, whether erased since or not.

    What was erased without having been written is blank: it is not encrypted.
    """
    check_size(len(image))
    for base in range(0, len(image), page.SIZE):
        table = int.from_bytes(image[base + page.STATES : base + page.FIRST], "little")
        ever = ((table ^ _NO_STATES).bit_length() + 1) // 2  # places, none behind was written
        begin = None
        for place in range(min(ever, page.ENTRIES) + 1):
            where = base + page.FIRST + place * page.ENTRY
            used = place < page.ENTRIES and _was_written(image, where, (table >> (place * 2)) & 3)
            if used and begin is None:
                begin = where
            elif not used and begin is not None:
                yield begin, where
                begin = None


def _was_written(image: bytes, where: int, state: int) -> bool:
    if state in (page.WRITTEN, page.EMPTY):
        return state == page.WRITTEN
    return image[where : where + page.ENTRY] != b"\xff" * page.ENTRY


class Xts:
    """XTS-AES-256 of many short units at once: the units' masks first, two passes of AES then.

    One call of the library's XTS for each entry of 32 bytes takes six times as long.
    """

    def __init__(self, key: bytes) -> None:
        """Take a key of 64 bytes. Raises NvsError."""
        _check_key(key)
        self._data = Cipher(algorithms.AES(key[: KEY // 2]), modes.ECB())
        tweaks = Cipher(algorithms.AES(key[KEY // 2 :]), modes.ECB())
        self._tweak = tweaks.encryptor().update

    def masks(self, begin: int, end: int) -> int:
        """Return what the entries from begin to end are masked with, as one number.

        begin and end are offsets in the partition, bytes.
        """
        lanes = _lanes(begin, end)
        masks = int.from_bytes(self._tweak(lanes.tweaks), "little")
        # the second block of each entry: times x in GF(2^128), IEEE 1619, 5.2
        carries = (masks >> (_BITS - 1)) & lanes.ones
        doubled = ((masks & ~(lanes.ones << (_BITS - 1))) << 1) ^ (carries * 0x87)
        return (masks & lanes.firsts) | (doubled & (lanes.firsts << _BITS))

    def encrypt(self, plain: bytes, masks: int) -> bytes:
        """Return whole entries encrypted under their masks."""
        return _xor(self._data.encryptor().update(_xor(plain, masks)), masks)

    def decrypt(self, secret: bytes, masks: int) -> bytes:
        """Return whole entries decrypted under their masks."""
        return _xor(self._data.decryptor().update(_xor(secret, masks)), masks)


def _xor(data: bytes, masks: int) -> bytes:
    return (int.from_bytes(data, "little") ^ masks).to_bytes(len(data), "little")


@dataclass(frozen=True)
class _Lanes:
    """Numbers of as many lanes of 128 bits as a run of entries has blocks, two an entry.

    tweaks: each entry's address, in both its blocks; ones: the lowest bit of each lane; firsts:
    all bits of every other lane.
    """

    tweaks: bytes
    ones: int
    firsts: int


@lru_cache(maxsize=64)
def _lanes(begin: int, end: int) -> _Lanes:
    count = (end - begin) // page.ENTRY
    addresses = (at.to_bytes(_BLOCK, "little") for at in range(begin, end, page.ENTRY))
    return _Lanes(
        b"".join(address * 2 for address in addresses),
        int.from_bytes((b"\1" + bytes(_BLOCK - 1)) * 2 * count, "little"),
        int.from_bytes((b"\xff" * _BLOCK + bytes(_BLOCK)) * count, "little"),
    )
