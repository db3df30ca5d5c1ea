"""Keystead's portable package: DPS and IoT Hub as text and bytes.

Runs unchanged on CPython and MicroPython. Owns no socket, clock, dice or flash: time, chance and
storage are arguments. The factory, the emulator and the board all import these very files.
"""

__version__ = "0.1.0"
