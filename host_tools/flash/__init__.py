"""Flash: from a bare board on a serial port to a proven one in the ledger.

steps.py owns what follows what, and knows neither ports nor processes; worker.py is the process of
one port and all that talks to the chip; link.py is the parent's end of it; station.py owns ledger,
keys and the many workers; rows.py shows them. The group key never leaves station.py's source, a
device key only for its board.
"""
