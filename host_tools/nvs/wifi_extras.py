"""Entries that esp-idf-nvs-partition-gen adds of its own when it meets ESP-IDF's Wi-Fi keys.

It does so in any namespace since version 0.3 (write_entry() of its module); an image is equal to
the tool's only if the same is added at the same place.
"""

import hashlib
from collections.abc import Iterable, Iterator

from host_tools.nvs.entry import Entry

_ACCESS_POINT = ("ap.ssid", "ap.passwd", "ap.authmode")
_STATION = ("sta.ssid", "sta.pswd")
_PMK_ROUNDS = 4096  # IEEE 802.11i


def with_extras(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries with what the tool puts between them."""
    access_point: dict[str, str] = {}
    station = False
    for entry in entries:
        if entry.key in _ACCESS_POINT:
            yield from _master_key(entry, access_point)
        yield entry
        if entry.key in _STATION and not station:
            station = True
            yield Entry(entry.namespace, "sta.apinfo", "hex2bin", "f" * 280)
            yield Entry(entry.namespace, "sta.pmk", "hex2bin", "0" * 64)
            yield Entry(entry.namespace, "sta.apsw", "hex2bin", "0000")


def _master_key(entry: Entry, known: dict[str, str]) -> Iterator[Entry]:
    text = (
        entry.value.decode(errors="replace")
        if isinstance(entry.value, bytes)
        else str(entry.value)
    )
    if entry.key != "ap.authmode" or text != "0":
        known[entry.key] = text
    if all(known.get(key) for key in _ACCESS_POINT):
        words = known["ap.passwd"].encode(), known["ap.ssid"].encode()
        key = hashlib.pbkdf2_hmac("sha1", *words, _PMK_ROUNDS, 32)
        yield Entry(entry.namespace, "ap.pmk_info", "hex2bin", "0" * 200 + key.hex())
