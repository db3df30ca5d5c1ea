"""esp-idf-nvs-partition-gen through its module API: what our images are judged by."""

import io
from collections.abc import Iterable

from esp_idf_nvs_partition_gen import nvs_partition_gen as tool
from hypothesis import strategies as st

from host_tools.nvs import Entry
from host_tools.nvs.entry import NUMBERS, STRING_LIMIT

KEY = bytes(range(64))


class _Kept(io.BytesIO):
    def close(self) -> None:  # the tool closes what it writes to
        pass


def image(entries: Iterable[Entry], size: int, key: bytes | None = None) -> bytes:
    """Return the tool's image of a partition of size bytes."""
    read_only = size < 0x3000  # as its check_size() has it
    output = _Kept()
    nvs = tool.nvs_open(
        output,
        size if read_only else size - 4096,
        tool.Page.VERSION2,
        is_encrypt=key is not None,
        key=key.hex() if key else None,
        read_only=read_only,
    )
    namespaces: dict[str, int] = {}
    for entry in entries:
        if entry.namespace not in namespaces:
            tool.write_entry(nvs, entry.namespace, "namespace", "", "")
            namespaces[entry.namespace] = len(namespaces) + 1
        # by number: without one it writes into the newest namespace, whichever was named last
        number = namespaces[entry.namespace]
        tool.write_entry(nvs, entry.key, "data", entry.encoding, entry.value, number)
    tool.nvs_close(nvs)
    return output.getvalue()


def _values(encoding: str) -> st.SearchStrategy[int | bytes | str]:
    if encoding in NUMBERS:
        bits = int(encoding[1:])
        signed = encoding[0] == "i"
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        return st.integers(low, high)
    blobs = st.integers(0, 5000).flatmap(
        lambda size: st.randoms().map(lambda r: r.randbytes(size))
    )
    if encoding == "hex2bin":
        return blobs.map(bytes.hex)
    if encoding == "base64":
        return blobs.map(lambda data: __import__("base64").b64encode(data).decode())
    if encoding == "binary":
        return blobs
    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
    return st.tuples(text, st.integers(1, 60)).map(lambda pair: _cut(pair[0] * pair[1]))


def _cut(text: str) -> str:
    return text.encode()[: STRING_LIMIT - 1].decode(errors="ignore")


_NAMES = st.text("abcdefghijklmnopqrstuvwxyz_-0", min_size=1, max_size=15)
_ENTRY = st.sampled_from((*NUMBERS, "string", "hex2bin", "base64", "binary")).flatmap(
    lambda encoding: st.builds(
        Entry, st.sampled_from(("a", "keystead", "n" * 15)), _NAMES, st.just(encoding),
        _values(encoding),
    )
)  # fmt: skip
ENTRIES = st.lists(_ENTRY, max_size=25, unique_by=lambda entry: (entry.namespace, entry.key))
