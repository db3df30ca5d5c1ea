"""Whose a board is by its NVS, also where its power went while that was written."""

import pytest

from host_tools.flash.check import refuse_other
from host_tools.flash.failure import FlashFailure
from host_tools.images.parts import KEY, NAMESPACE
from host_tools.ledger import Identity
from host_tools.nvs import Entry, NvsError, page, partition, read
from keystead.record import FactoryRecord

MAC = bytes.fromhex("a0b1c2d3e4f5")
OURS = Identity("sn-1", "pilot", "1", MAC, None, "reserved", "esp32c3", "")
OTHERS = FactoryRecord(MAC, "0ne00002193", "sn-2", bytes(range(32))).pack()
IMAGE = partition([Entry(NAMESPACE, KEY, "binary", OTHERS)], 0x6000)


def torn(image: bytes) -> bytes:
    """The image with the bytes of one entry more, whose state was not written any more."""
    after = image[page.STATES : page.FIRST]
    written = (256 - int.from_bytes(after, "little").bit_count()) * page.ENTRY
    at = page.FIRST + written
    return image[:at] + b"\0" * page.ENTRY + image[at + page.ENTRY :]


def test_a_board_of_another_is_refused() -> None:
    with pytest.raises(FlashFailure, match="the record of sn-2, the ledger has it as sn-1"):
        refuse_other(IMAGE, OURS)


def test_it_is_so_where_its_power_went_while_it_wrote_something_else() -> None:
    with pytest.raises(NvsError, match="was written here and not finished"):
        read(torn(IMAGE))
    with pytest.raises(FlashFailure, match="the record of sn-2, the ledger has it as sn-1"):
        refuse_other(torn(IMAGE), OURS)


@pytest.mark.parametrize(
    "image",
    [
        b"\xff" * 0x6000,
        bytes(0x6000),
        partition([Entry(NAMESPACE, KEY, "i32", 1)], 0x6000),
        partition([Entry(NAMESPACE, KEY, "binary", OTHERS[:-1])], 0x6000),
        partition([Entry("app", KEY, "binary", OTHERS)], 0x6000),
    ],
    ids=["blank", "zeros", "a number", "cut", "of another namespace"],
)
def test_what_names_nobody_is_nobodys(image: bytes) -> None:
    refuse_other(image, OURS)
