"""The rim: the board's parts, one verb or noun each. Knows MicroPython, not Azure."""
