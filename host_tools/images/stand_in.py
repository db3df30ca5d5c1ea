"""An image that plays MicroPython's where the real one is not at hand: for rehearsals.

Well-formed from header to hash, so that every check and every tool takes it; there is no program
in it. The virtual board runs the Unix port of MicroPython in its place.
"""


def stand_in_image(chip: str, flash_size: int) -> bytes:
    """Return a merged image for the chip; its first byte belongs at the board's flash_offset.

    The same arguments, the same bytes.
    """
    raise NotImplementedError
