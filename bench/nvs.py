"""NVS images, one for each board: how many a second, beside Espressif's tool in the same run.

The tool is esp-idf-nvs-partition-gen by its module API, in memory: its fastest way. Each image has
another record, the encrypted ones another key besides. All are compared, once, before.
"""

import io
import random
import time
from collections.abc import Callable, Sequence

from bench.figures import Bar, Figure, Row, Unmeasured, usual_rate
from bench.workshop import Workshop
from host_tools.errors import CommandError
from host_tools.nvs import BlobImages, Entry, encrypt, partition

TITLE = "NVS images of 24 KiB, a record of 140 bytes"

_SIZE = 0x6000
_NAMES = "keystead", "record"
_RECORDS = [random.Random(number).randbytes(140) for number in range(500)]
_KEYS = [random.Random(-number - 1).randbytes(64) for number in range(500)]
_ROUNDS = 7
_TOOL = "esp-idf-nvs-partition-gen"
_Make = Callable[[bytes, bytes | None], bytes]


def rows(workshop: Workshop) -> list[Row]:
    """Make images in turns, ours and the tool's, plain and encrypted."""
    patched = BlobImages(*_NAMES, _SIZE).image
    found = []
    for secret in (False, True):
        what = "encrypted" if secret else "plain"
        makers = (patched, _written, _tool())
        _agree(makers, secret)
        ours, written, theirs = _rates(makers, secret)
        anchor = "tool 5 281/s" if secret else "tool 15 850/s, mfg_gen 667/s"
        bar = Bar(50_000, at_most=False)
        found += [
            Row(f"{what}, patched", ours, theirs, _TOOL, anchor, bar, _PATCHED),
            Row(f"{what}, written from entries", written, theirs, _TOOL, note=_WRITTEN),
        ]
    return found


def _written(record: bytes, key: bytes | None) -> bytes:
    plain = partition([Entry(*_NAMES, "binary", record)], _SIZE)
    return plain if key is None else encrypt(plain, key)


def _tool() -> _Make:
    try:
        from esp_idf_nvs_partition_gen import (  # type: ignore[import-untyped]
            nvs_partition_gen as tool,
        )
    except ImportError:
        raise Unmeasured(f"{_TOOL} is not there: pip install 'keystead[test]'") from None

    class Kept(io.BytesIO):
        def close(self) -> None:  # the tool closes what it writes to
            pass

    def make(record: bytes, key: bytes | None) -> bytes:
        output = Kept()
        secret = key.hex() if key else None
        nvs = tool.nvs_open(output, _SIZE - 4096, tool.Page.VERSION2, key is not None, secret)
        tool.write_entry(nvs, _NAMES[0], "namespace", "", "")
        tool.write_entry(nvs, _NAMES[1], "data", "binary", record)
        tool.nvs_close(nvs)
        return output.getvalue()

    return make


def _agree(makers: Sequence[_Make], secret: bool) -> None:
    for record, key in zip(_RECORDS[:20], _KEYS, strict=False):
        if len({make(record, key if secret else None) for make in makers}) > 1:
            raise CommandError(f"our NVS image is not that of {_TOOL}")


def _rates(makers: Sequence[_Make], secret: bool) -> list[Figure]:
    seconds: list[list[float]] = [[] for _ in makers]
    for _ in range(_ROUNDS):  # in turns: a machine that is busy for a while is so for all
        for make, took in zip(makers, seconds, strict=True):
            begun = time.perf_counter()
            for record, key in zip(_RECORDS, _KEYS, strict=True):
                make(record, key if secret else None)
            took.append(time.perf_counter() - begun)
    return [usual_rate(took, len(_RECORDS)) for took in seconds]


_PATCHED = (
    f"one process; median of {_ROUNDS} rounds of {len(_RECORDS)} images (.. the slowest); the"
    " batch's own way: an image is written once and its record's slot patched, which the tests"
    " compare with the writer's images"
)
_WRITTEN = "the general writer, as it makes any image"
