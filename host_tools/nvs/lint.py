"""What a partition holds that MicroPython can not read: said before it is flashed.

Source: MicroPython's esp32.NVS has get_i32 and get_blob, nothing else, in the default partition;
ports/esp32/esp32_nvs.c.
"""

from collections.abc import Iterable

import host_tools.nvs.page as page
from host_tools.nvs.entry import BLOBS, NUMBERS, Entry

_LIMIT = 4000  # bytes of a blob in one page: above it the board needs as much heap in one piece


def lint(entries: Iterable[Entry]) -> list[str]:
    """Return one line for each thing that MicroPython can not read, or not well."""
    return [line for entry in entries for line in _lines(entry)]


def _lines(entry: Entry) -> Iterable[str]:
    named = f"{entry.namespace}/{entry.key}"
    encoding = entry.encoding.lower()
    for what, text in (("namespace", entry.namespace), ("key", entry.key)):
        if not 0 < len(text) <= page.KEY:
            yield f"{named}: the {what} has {len(text)} characters, NVS takes 1 to {page.KEY}"
    if encoding == "string":
        yield f"{named}: esp32.NVS reads no string; store it as binary and read it by get_blob"
    elif encoding in NUMBERS and encoding != "i32":
        yield f"{named}: esp32.NVS reads no {encoding}; store it as i32 and read it by get_i32"
    elif encoding not in (*NUMBERS, *BLOBS) and not encoding.startswith("blob_"):
        yield f"{named}: there is no encoding {entry.encoding!r}"
