"""The rim: the board's parts, one verb or noun each: all that needs MicroPython."""

uplink: tuple | None = None  # rim.link's memory, as that module is not always loaded
