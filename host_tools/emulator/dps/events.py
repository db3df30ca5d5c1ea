"""DPS's own events: what else there is to tell of it than events.py has."""

from dataclasses import dataclass

from host_tools.emulator.events import Event, printable


@dataclass(frozen=True, slots=True)
class Asked(Event):
    """A device asked DPS something over HTTPS, where there is no CONNECT to tell of."""

    NAME = "asked"
    registration_id: str
    request: str  # "register", "poll" or "look-up"
    api_version: str

    def line(self) -> str:
        """Return one line for a person."""
        return f"{printable(self.registration_id)} asks DPS over HTTPS: {self.request}"
