"""A board's REPL from the host's side: run code there, and move files, over any serial line.

    with open_line("rfc2217://127.0.0.1:4001") as line:
        repl = Repl(line)
        repl.enter()
        print(repl.evaluate("1 + 1"))
        repl.leave()

Owns MicroPython's raw REPL as hosts speak it. Doesn't own the line (host_tools.serial_line).
"""

from host_tools.repl.errors import LineLost, NoAnswer, Raised, ReplError
from host_tools.repl.files import Entry
from host_tools.repl.reader import Line
from host_tools.repl.repl import Repl

__all__ = ["Entry", "Line", "LineLost", "NoAnswer", "Raised", "Repl", "ReplError"]
