"""NVS, the key-value store in an ESP32's flash: written, encrypted, read, and kept alive.

The names below are all that others need:

    partition(entries, size)        an image, equal to that of esp-idf-nvs-partition-gen
    BlobImages(namespace, key, size).image(blob)     the same for one blob, many times faster
    read(image)                     what an image holds, or NvsError with the offset of the damage
    settled(image)                  an image mended as a chip mends it when it starts
    encrypt, decrypt, new_key, key_partition, key_of_hmac, ...
    lint(entries)                   what MicroPython can not read of it
    Store(flash, region)            live NVS upon NOR flash, safe against power cuts
"""

from host_tools.nvs.encryption import (
    decrypt,
    encrypt,
    key_of_hmac,
    key_partition,
    new_hmac_key,
    new_key,
    read_key_partition,
)
from host_tools.nvs.entry import ENCODINGS, Entry, Value
from host_tools.nvs.errors import NotEnoughSpace, NotFound, NvsError
from host_tools.nvs.lint import lint
from host_tools.nvs.memory_flash import Flash, MemoryFlash, Region
from host_tools.nvs.reader import read
from host_tools.nvs.store import Store, settled
from host_tools.nvs.template import BlobImages
from host_tools.nvs.writer import partition

__all__ = [
    "ENCODINGS",
    "BlobImages",
    "Entry",
    "Flash",
    "MemoryFlash",
    "NotEnoughSpace",
    "NotFound",
    "NvsError",
    "Region",
    "Store",
    "Value",
    "decrypt",
    "encrypt",
    "key_of_hmac",
    "key_partition",
    "lint",
    "new_hmac_key",
    "new_key",
    "partition",
    "read",
    "read_key_partition",
    "settled",
]
