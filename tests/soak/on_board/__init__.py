"""What plays the chip in a soak, before the stand-ins do. Runs under MicroPython."""
