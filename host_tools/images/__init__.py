"""What is written to a board's flash: MicroPython's image, a filesystem, the factory record.

Each is bytes in memory; who writes them to a board is host_tools.flash, who writes files is
host_tools.image.
"""
