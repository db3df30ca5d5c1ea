"""Line: one entry of a connection's time line, ready to be printed or sent.

Owns the order of things in a line, for people and for scripts. Doesn't own the words (words.py)
nor where a line goes (report.py, the portal).
"""

import json
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from rich.text import Text

from host_tools.emulator.trace.entry import NOTED, RECEIVED, SENT, Entry
from host_tools.emulator.trace.mask import shown
from host_tools.emulator.trace.words import Summary, summary

_WAYS = {RECEIVED: "in", SENT: "out", NOTED: "note"}
_STYLES = {RECEIVED: "cyan", SENT: "green", NOTED: "yellow"}


class Line:
    """One line of one connection; worded when somebody looks."""

    def __init__(
        self, entry: Entry, began: float, connection: int, device_id: str, service: str
    ) -> None:
        """began: when the connection was accepted."""
        self.entry = entry
        self.began = began
        self.connection = connection
        self.device_id = device_id
        self.service = service

    @cached_property
    def summary(self) -> Summary:
        """Return what the entry says."""
        return summary(self.entry)

    def document(self) -> dict[str, Any]:
        """Return the line as JSON values."""
        entry = self.entry
        packet, words, facts = self.summary
        time = datetime.fromtimestamp(entry.time, UTC).isoformat(timespec="milliseconds")
        return {
            "event": "trace",
            "time": time,
            "connection": self.connection,
            "device_id": self.device_id,
            "service": self.service,
            "number": entry.number,
            "at": round(entry.time - self.began, 6),
            "gap": round(entry.gap, 6),
            "way": _WAYS[entry.way],
            "packet": packet,
            "bytes": entry.wire,
            "words": words,
            **({"facts": facts} if facts else {}),
        }

    def json(self) -> str:
        """Return one line for a script."""
        return json.dumps(self.document())

    # {seconds since accepted} +{seconds since the line before} {way} {packet} {words}
    def text(self) -> str:
        """Return one line for a person who reads a single connection."""
        packet, words, _ = self.summary
        entry = self.entry
        said = f"{packet:<11} {words}".rstrip() if packet else words
        return f"{entry.time - self.began:9.3f} +{entry.gap:<8.3f} {entry.way} {said}"

    def text_among_others(self) -> str:
        """Return one line for a person who reads many connections at once, with local time."""
        time = datetime.fromtimestamp(self.entry.time).strftime("%H:%M:%S")
        return f"{time} {self._who()} {self.text()}"

    def styled(self, among_others: bool = True) -> Text:
        """Return the same line in a terminal's colours: each direction has its own."""
        text = Text(self.text_among_others() if among_others else self.text())
        packet = self.summary.packet
        start = text.plain.find(f" {self.entry.way} ")
        text.stylize("dim", 0, start)
        text.stylize(_STYLES[self.entry.way], start)
        if packet:
            text.stylize("bold", start + 4, start + 4 + len(packet))
        return text

    def _who(self) -> str:
        return f"#{self.connection} {shown(self.device_id, 40)}".rstrip()
