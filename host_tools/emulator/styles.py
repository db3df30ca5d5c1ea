"""Styles: how an event looks on a terminal, by its name.

Owns the colours, and that there are none where stdout is no terminal or NO_COLOR is set.
"""

from rich.console import Console
from rich.text import Text

_STYLES = {
    "assigned": "bold green",
    "connected": "green",
    "disconnected": "dim",
    "dropped": "yellow",
    "failed": "bold red",
    "fault": "magenta",
    "refused": "bold red",
    "telemetry": "cyan",
}


class Painter:
    """Colours lines for stdout."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def event(self, name: str, line: str) -> str:
        """Return the line of an event with this name."""
        return self.line(line, _STYLES.get(name, ""))

    def line(self, line: str, style: str) -> str:
        """Return a line in a style of rich's."""
        return self.text(Text(line, style))

    def text(self, text: Text) -> str:
        """Return a line in styles of its own."""
        if not self._console.is_terminal:
            return text.plain
        with self._console.capture() as capture:
            self._console.print(text, end="")
        return capture.get()
