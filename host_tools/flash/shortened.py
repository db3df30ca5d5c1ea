"""Shortened: texts and ports' names that are to fit a column."""

import os.path
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_LEAST = 8  # columns of a text that is shortened


@dataclass(frozen=True)
class Shortened:
    """A text in one line: what does not fit is left out of its middle.

    short: what stands for all of it where there is no room, as a serial for its registration ID.
    """

    text: str
    style: str = ""
    short: str = ""

    def __str__(self) -> str:
        """Return all of it."""
        return self.text

    def fit(self, width: int) -> str:
        """Return it in so many columns."""
        if len(self.text) <= width:
            return self.text
        text = self.short or self.text
        if len(text) <= width:
            return text
        kept = max(width - 1, 1)
        return f"{text[: kept // 2]}…{text[kept // 2 - kept :]}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # a text: a port's name, as rfc2217://[fe80::1]:2217, may look like rich's markup
        yield Text(self.fit(options.max_width), style=self.style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(len(self.text), _LEAST), len(self.text))


def short_names(ports: Sequence[str], width: int) -> list[str]:
    """Return the ports without the folder or scheme that all share; more if that is too wide."""
    shared = os.path.commonprefix([port[:-1] for port in ports])  # noqa: RUF071
    names = [port[shared.rfind("/") + 1 :] for port in ports]
    if len(ports) > 1 and max(map(len, names)) > width:  # /dev/serial/by-id, say
        names = [port[max(map(shared.rfind, "/:_-")) + 1 :] for port in ports]
    return names
