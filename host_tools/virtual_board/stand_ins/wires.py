"""network.LAN and network.PPP, as on an ESP32, and machine.SPI for the first."""

import network
from machine import Pin

PHY_LAN8720, PHY_W5500 = 1, 102
ETH_INITIALIZED, ETH_STARTED, ETH_STOPPED, ETH_CONNECTED, ETH_DISCONNECTED, ETH_GOT_IP = range(6)

_PEERDEAD, _AUTHFAIL = 9, 7  # PPPERR_...


class SPI:
    def __init__(self, number, *, sck, mosi, miso):
        pass


class _Lan:
    """The one Ethernet interface."""

    initialized = False
    _active = False

    def active(self, flag=None):
        if flag is not None:
            self._active = flag
        return self._active

    def status(self):
        if not self._active:
            return ETH_STOPPED
        return ETH_GOT_IP if network.air().get("cable") else ETH_STARTED

    def isconnected(self):
        return self.status() == ETH_GOT_IP

    def ifconfig(self):
        address = "127.0.0.1" if self.isconnected() else "0.0.0.0"
        return address, "255.0.0.0", address, address


_lan = _Lan()


def LAN(id=None, *, phy_addr, phy_type, mdc=None, mdio=None, reset=None, power=None, spi=None,
        cs=None, ref_clk_mode=-1, ref_clk=None, **others):  # fmt: skip
    """Return the one interface, set up by the first call, whatever later ones say."""
    if _lan.initialized:
        return _lan
    if not 0 <= phy_addr <= 31:
        raise ValueError("invalid phy address")
    if phy_type == PHY_W5500:
        if not isinstance(spi, SPI):
            raise TypeError("expecting a SPI")
    elif mdc is None or mdio is None:
        raise ValueError("mdc and mdio must be specified")
    if set(others) - {"int"} or ref_clk_mode not in (-1, Pin.IN, Pin.OUT):
        raise TypeError("extra keyword arguments given")
    _lan.initialized = True
    return _lan


class PPP:
    """A PPP client. The other end's first frame is all the bench needs to call it connected."""

    AUTH_PAP = 0xC023

    def __init__(self, stream):
        self._stream = stream
        self._state = 0  # inactive, active, error, connecting, connected
        self._error = 0

    def active(self, flag=None):
        if flag is not None:
            self._state = int(flag)
        return self._state > 0

    def connect(self, *, authmode=0, username=None, password=None):
        if not self._state:
            raise OSError("must be active")
        if authmode and not (isinstance(username, str) and isinstance(password, str)):
            raise TypeError("can't convert to str implicitly")
        self._state = 3
        self._stream.write("~" + ("%s:%s" % (username, password) if authmode else "") + "~")

    def _poll(self):
        data = self._stream.read() if self._state > 2 else None
        if data:
            if b"~ack~" in data:
                self._state = 4
            if b"~nak~" in data or b"~end~" in data:
                self._state = 2
                self._error = _AUTHFAIL if b"~nak~" in data else _PEERDEAD

    def isconnected(self):
        self._poll()
        return self._state == 4

    def status(self):
        self._poll()
        return -self._error if self._state == 2 else self._state

    def ifconfig(self):
        address = "127.0.0.1" if self.isconnected() else "0.0.0.0"
        return address, "255.255.255.255", address, address
