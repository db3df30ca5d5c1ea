"""What the bench runs under MicroPython: programs that print one line of JSON."""
