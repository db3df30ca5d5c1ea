"""What can go wrong between a host and a REPL, each as one line that says what to do."""

from host_tools.errors import CommandError
from keystead.failure import printable

_LONGEST = 200  # characters of what a board says that are repeated


class ReplError(CommandError):
    """The board did not do what it was asked."""


class NoAnswer(ReplError):
    """Nothing came in time, or nothing that a REPL would say."""


class LineLost(ReplError):
    """The port is gone: unplugged, or the other end hung up."""


class Raised(ReplError):
    """The code on the board ended with an exception.

    traceback: the board's, line by line. Its last line is the message.
    """

    def __init__(self, traceback: str) -> None:
        self.traceback = [line for line in traceback.splitlines() if line.strip()] or ["?"]
        super().__init__(f"the board raised {self.last}")

    @property
    def last(self) -> str:
        """The last line of the traceback, e.g. "OSError: [Errno 2] ENOENT"."""
        return printable(self.traceback[-1].strip()[:_LONGEST])
