"""Modules that stand in before the usual ones where the board runs from a real flash image.

Owned here: the start from LittleFS and NVS in a flash file, and the REPL that Debian's Unix port
lacks. Names begin with an underscore where a board has no module of that kind, as an application
may call its own modules anything else.
"""
