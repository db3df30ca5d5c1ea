"""The rim: the board's parts, one verb or noun each. Knows MicroPython, not Azure."""

uplink: tuple | None = None  # rim.link's memory, as that module is not always loaded
