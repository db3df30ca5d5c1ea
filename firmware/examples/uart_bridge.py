"""Sends what a legacy instrument prints, line by line, and what the cloud says to the instrument.

Copy it as app.py. config.json tells the serial line, all of it optional, and keeps a journal, so
that lines which come while the network is away keep their time:

{"app": {"uart": 1, "tx": 17, "rx": 16, "baud": 9600, "bits": 8, "parity": "none", "stop": 1},
 "journal": {"bytes": 65536, "days": 30}}

A message is {"line": "+012.3 kg"}. What noise did to a line is a "?" in it, and "noise" counts
such bytes. A cloud-to-device message goes to the instrument as it is, with a line end behind it.
"""

import machine

_LONGEST = 200  # characters of a line; what is longer comes in several
_PARITY = {"none": None, "even": 0, "odd": 1}


class Lines:
    """Cuts a stream of bytes into lines, whatever bytes these are."""

    def __init__(self):
        self._line = bytearray()
        self.noise = 0  # bytes that no instrument prints

    def feed(self, data: bytes) -> list:
        """Return the lines that data completes; CR, LF or both end one, empty ones are none."""
        lines: list = []
        for byte in data:
            if byte in b"\r\n":
                self._cut(lines)
                continue
            if not 31 < byte < 127 and byte != 9:
                # a wrong speed, a broken line or a missing ground looks like this
                self.noise += 1
                byte = 63
            self._line.append(byte)
            if len(self._line) >= _LONGEST:
                self._cut(lines)
        return lines

    def _cut(self, lines: list) -> None:
        if self._line:
            lines.append(self._line.decode())
            self._line = bytearray()


class Instrument:
    """What is at the other end of the serial line."""

    def __init__(self, settings: dict):
        """settings: "app" of config.json."""
        pins = {name: settings[name] for name in ("tx", "rx") if name in settings}
        # without a journal, what comes while the network is away waits in rxbuf
        self.uart = machine.UART(
            settings.get("uart", 1), settings.get("baud", 9600), bits=settings.get("bits", 8),
            parity=_PARITY[settings.get("parity", "none")], stop=settings.get("stop", 1),
            rxbuf=4096, timeout=0, **pins,
        )  # fmt: skip
        self._lines = Lines()

    def say(self, text: bytes, properties: dict) -> None:
        """Take a cloud-to-device message."""
        self.uart.write(text + b"\r\n")

    def messages(self, data: bytes) -> list:
        """Return what is to be sent for data from the line."""
        lines = self._lines.feed(data)
        noise = {"noise": self._lines.noise} if self._lines.noise else {}
        return [dict(noise, line=line) for line in lines]


def run(device):
    """Bridge for ever."""
    instrument = Instrument(device.settings.app or {})
    device.on_message(instrument.say)
    while True:
        for message in instrument.messages(instrument.uart.read() or b""):
            device.send(message)
        device.wait(0.1)
