"""The images of a batch: one blob each, all else the same, made by patching one image.

Owns nothing of the format: what it patches is what writer.partition wrote, and a test demands
that both agree. A batch needs tens of thousands of images a second; these are.
"""

import struct
import zlib

import host_tools.nvs.page as page
from host_tools.nvs.encryption import Xts, encrypt
from host_tools.nvs.entry import Entry
from host_tools.nvs.page import Item
from host_tools.nvs.writer import partition

_STUB = page.FIRST + page.ENTRY  # the namespace's entry is before the blob's


class BlobImages:
    """Images of a partition that holds one blob under one key of one namespace, of any length."""

    def __init__(self, namespace: str, key: str, size: int) -> None:
        """Take the names and the size of the partition in bytes. Raises NvsError."""
        self._names = namespace, key
        self._size = size
        self._templates: dict[int, _Template] = {}
        self.image(b"")  # names and size are good, or it is said now

    def image(self, blob: bytes, key: bytes | None = None) -> bytes:
        """Return the image with this blob, encrypted if a key of 64 bytes is given."""
        length = len(blob)
        if not 0 < length <= page.CHUNK - 3 * page.ENTRY:  # more than one page: nothing to gain
            plain = self._plain(blob)
            return plain if key is None else encrypt(plain, key)
        if length not in self._templates:
            self._templates[length] = _Template(self._plain(bytes(length)), length)
        template = self._templates[length]
        return template.image(blob) if key is None else template.encrypted(blob, key)

    def _plain(self, blob: bytes) -> bytes:
        return partition([Entry(*self._names, "binary", blob)], self._size)


class _Template:
    """An image whose blob of a certain length is replaced, with the two CRCs that depend on it."""

    def __init__(self, image: bytes, length: int) -> None:
        raw = image[_STUB : _STUB + page.ENTRY]
        assert Item.read(raw) is not None, "the blob is not where it is to be"
        self._begin = image[: _STUB + 4]
        self._middle = raw[8:28]
        self._crc = zlib.crc32(raw[8:28], page.crc(raw[:4]))
        self._end = image[_STUB + page.ENTRY + length :]
        self._written = _STUB + (page.span(length) + 1) * page.ENTRY  # the index is behind it
        self._rest = image[self._written :]
        self._head = image[: page.FIRST]

    def image(self, blob: bytes) -> bytes:
        data = struct.pack("<I", page.crc(blob))
        entry = struct.pack("<I", zlib.crc32(data, self._crc))
        return b"".join((self._begin, entry, self._middle, data, blob, self._end))

    def encrypted(self, blob: bytes, key: bytes) -> bytes:
        xts = Xts(key)
        plain = self.image(blob)[page.FIRST : self._written]
        secret = xts.encrypt(plain, xts.masks(page.FIRST, self._written))
        return b"".join((self._head, secret, self._rest))
