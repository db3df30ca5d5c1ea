"""Retrofit: Keystead on a board that runs MicroPython already, over nothing but its REPL.

Owns the way from such a board to a proven one, and back to what it was if anything fails. The
board's files, record and marker are dealt with one noun a module; steps.py has the order.
"""
