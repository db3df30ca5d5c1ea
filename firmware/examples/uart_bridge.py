"""Sends what a legacy instrument prints, line by line, and what the cloud says to the instrument.

Copy it as app.py. config.json tells the serial line, all of it optional:

{"app": {"uart": 1, "tx": 17, "rx": 16, "baud": 9600, "bits": 8, "parity": "none", "stop": 1}}

A message is {"line": "+012.3 kg", "at": "2026-11-22T07:00:00Z"}; "at" is when the line was
complete, and is left out while the clock is not set. What noise did to a line is a "?" in it, and
counted in "noise". A cloud-to-device message goes to the instrument as it is, and a line end.
"""

import time

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
        lines = []
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


def open_uart(settings: dict):
    """Return the serial line; its buffer holds what comes while the network is slow."""
    pins = {name: settings[name] for name in ("tx", "rx") if name in settings}
    return machine.UART(
        settings.get("uart", 1), settings.get("baud", 9600), bits=settings.get("bits", 8),
        parity=_PARITY[settings.get("parity", "none")], stop=settings.get("stop", 1),
        rxbuf=4096, timeout=0, **pins,
    )  # fmt: skip


def message(line: str, noise: int) -> dict:
    """Return the message for a line that is complete now."""
    told = {"line": line}
    now = time.gmtime()
    if now[0] >= 2026:
        told["at"] = "%04d-%02d-%02dT%02d:%02d:%02dZ" % now[:6]
    if noise:
        told["noise"] = noise
    return told


def run(device):
    """Bridge for ever."""
    uart = open_uart(device.settings.app or {})
    lines = Lines()
    device.on_message(lambda payload, properties: uart.write(payload + b"\r\n"))
    while True:
        for line in lines.feed(uart.read() or b""):
            device.send(message(line, lines.noise))
        device.wait(0.1)
