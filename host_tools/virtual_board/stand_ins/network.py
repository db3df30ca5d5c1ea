"""network, as on an ESP32: one radio that a station lets in that knows the password.

What is in the air, and whether a cable is plugged, the file chip.AIR says at every look; the bench
may write another while the board runs. Ethernet and PPP are in wires.py: few boards have them.
"""

import json
import time

import chip
import world

STA_IF = 0
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
_LEFT, _HANDSHAKE, _BEACON, _NO_AP, _AUTH, _CONNECTION = 8, 15, 200, 201, 202, 205
_TRY = 2500  # milliseconds until the chip gives an attempt up


def __getattr__(name):
    if not (name == "LAN" or name == "PPP" or name[:4] in ("PHY_", "ETH_")):
        raise AttributeError(name)
    import wires

    return getattr(wires, name)


def air():
    """Return what is around: {"wifi": {ssid: password}, "hidden": [ssid], "cable": 1, "dns": 1}.

    Of dns lwip.py knows more.
    """
    with open(chip.AIR) as file:
        return json.load(file)


class WLAN:
    """The one radio: every WLAN(STA_IF) is the same object, as on the chip."""

    _radio = None

    def __new__(cls, interface):
        if cls._radio is None:
            cls._radio = super().__new__(cls)
            cls._radio._begin()
        return cls._radio

    def _begin(self):
        self._active = self._wanted = self._connected = False
        self._reason = 0  # of the last disconnection; connect() does not clear it
        self._limit = self._tries = 0
        self._ssid = self._password = ""

    def active(self, flag=None):
        if flag is not None:
            self._active = flag
            self._connected = self._wanted = self._connected and flag
        return self._active

    def connect(self, ssid, password=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._wanted and (self._connected or self._tries_left()):
            raise OSError("Wifi Internal Error")  # it goes on trying until told to disconnect
        self._ssid, self._password = ssid, password or ""
        self._tries = 0
        self._wanted = True
        self._since = time.ticks_ms()

    def disconnect(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._wanted and (self._connected or self._tries_left()):
            self._reason = _LEFT
        self._wanted = self._connected = False

    def _tries_left(self):
        return not self._limit or self._tries < self._limit

    def _look(self):
        """Take in what happened since the last look."""
        if not self._wanted or not (self._connected or self._tries_left()):
            return
        password = air()["wifi"].get(self._ssid) if world.carries() else None
        if password == self._password:
            self._connected = True
            self._reason = 0
            return
        if self._connected:
            self._connected = False
            self._reason = _BEACON
            self._since = time.ticks_ms()
        while self._tries_left() and time.ticks_diff(time.ticks_ms(), self._since) >= _TRY:
            self._since = time.ticks_add(self._since, _TRY)
            # of a wrong password the chip only sees that the other end does not answer, at first
            refused = _HANDSHAKE if self._reason in (0, _LEFT) else _CONNECTION
            self._reason = _NO_AP if password is None else refused
            self._tries += bool(self._limit)

    def isconnected(self):
        self._look()
        return self._connected

    def status(self):
        if self.isconnected():
            return STAT_GOT_IP
        if self._reason in (_AUTH, _CONNECTION):
            return _AUTH
        if self._reason == _NO_AP:
            return _NO_AP
        if self._reason == _LEFT:
            return STAT_IDLE
        if self._wanted and self._tries_left():
            return STAT_CONNECTING
        return self._reason or STAT_IDLE

    def scan(self):
        if not self._active:
            raise OSError("STA must be active")
        if self._wanted and not self._connected:  # it is busy, and says so by finding nothing
            return []
        found = air()
        hidden = found.get("hidden", [])
        return [
            (b"" if ssid in hidden else ssid.encode(), chip.MAC, 6, -60, 3, False)
            for ssid in found["wifi"]
        ]

    def ifconfig(self):
        address = "127.0.0.1" if self.isconnected() else "0.0.0.0"
        return address, "255.0.0.0", address, address

    def config(self, name=None, **settings):
        if "reconnects" in settings:
            self._limit = settings["reconnects"] + 1
        return {"mac": chip.MAC, "ssid": self._ssid}.get(name)
