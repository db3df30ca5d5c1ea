"""The checks of what is in flash: read back, parsed, compared with what was to be written.

Pure: bytes in, FlashFailure out. A message names registration IDs, files and offsets, never keys.
"""

from collections.abc import Mapping, Sequence

from host_tools import nvs as store
from host_tools.flash.failure import FlashFailure
from host_tools.images.parts import KEY, NAMESPACE
from host_tools.ledger import Identity
from host_tools.nvs import Entry
from keystead.failure import Failure, printable
from keystead.record import FactoryRecord, unpack

_MAC = slice(6, 12)  # where a record of any version has its owner's MAC


def refuse_other(image: bytes, identity: Identity, known: bool = True) -> None:
    """Refuse a board whose NVS has another identity's record; FlashFailure other-identity.

    What can not be read is nobody's: a run that was cut off leaves such a partition. known:
    whether the ledger has the identity, not only one that the board would get.
    """
    blob = _blob(image)
    if blob is None:
        return
    try:
        record = unpack(blob, blob[_MAC])
    except Failure:
        return
    if record.mac != identity.mac:
        found = f"{printable(record.registration_id)} of board {record.mac.hex(':')}"
    elif record.registration_id != identity.registration_id:
        found = printable(record.registration_id)
    else:
        return
    raise FlashFailure(
        "other-identity",
        f"the board's flash has the record of {found},"
        f" {'the ledger has it as' if known else 'it would become'} {identity.registration_id}",
    )


def _blob(image: bytes) -> bytes | None:
    try:
        # as its chip would find it, should it have lost power while it wrote
        value = store.read(store.settled(image)).get((NAMESPACE, KEY))
    except store.NvsError:
        return None
    return value if isinstance(value, bytes) else None


def nvs(image: bytes, record: FactoryRecord, values: Sequence[Entry] = ()) -> None:
    """Check the NVS partition as it was read back; FlashFailure differs.

    values: what it is to have beside the record, and nothing else.
    """
    try:
        there = store.read(image)
        blob = there.pop((NAMESPACE, KEY), None)
        if not isinstance(blob, bytes):
            raise FlashFailure("differs", "there is no factory record in the NVS read back")
        found = unpack(blob, record.mac)
    except (store.NvsError, Failure) as error:
        raise FlashFailure("differs", f"the NVS read back is not as written: {error}") from None
    if found.pack() != record.pack():
        raise FlashFailure("differs", "the factory record read back is not the one written")
    wanted = store.read(store.partition(values, len(image)))
    for name in sorted({*wanted, *there}):
        if there.get(name) != wanted.get(name):
            raise FlashFailure("differs", f"{'/'.join(name)} in NVS is not as written")


def filesystem(found: Mapping[str, bytes], files: Mapping[str, bytes]) -> None:
    """Check the files as they were read back, path to content; FlashFailure differs."""
    for name in sorted({*files, *found}):
        if found.get(name) != files.get(name):
            raise FlashFailure("differs", f"{printable(name)} on the board is not as written")
