"""MicroPython modules that the Unix port lacks: the ESP32's own, told by a chip file.

These run under MicroPython, never under CPython. Each copies what the chip does, its errors and
its epoch included, as far as the firmware can see it.
"""
