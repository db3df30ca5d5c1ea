"""network, as on an ESP32 in station mode: lets a board in that knows the password."""

import chip

STA_IF = 0
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_WRONG_PASSWORD = 202
STAT_NO_AP_FOUND = 201
STAT_GOT_IP = 1010


class WLAN:
    """The one radio: every WLAN(STA_IF) is the same object, as on the chip."""

    _radio = None

    def __new__(cls, interface):
        if cls._radio is None:
            cls._radio = super().__new__(cls)
            cls._radio._active = False
            cls._radio._status = STAT_IDLE
        return cls._radio

    def active(self, flag=None):
        if flag is None:
            return self._active
        self._active = flag

    def connect(self, ssid, password=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._status != STAT_IDLE:  # the chip goes on trying until told to disconnect
            raise OSError("Wifi Internal Error")
        if ssid not in chip.WIFI:
            self._status = STAT_NO_AP_FOUND
        elif chip.WIFI[ssid] != password:
            self._status = STAT_WRONG_PASSWORD
        else:
            self._status = STAT_GOT_IP

    def disconnect(self):
        self._status = STAT_IDLE

    def isconnected(self):
        return self._status == STAT_GOT_IP

    def status(self):
        return self._status

    def ifconfig(self):
        address = "127.0.0.1" if self.isconnected() else "0.0.0.0"
        return address, "255.0.0.0", address, address

    def config(self, name):
        return chip.MAC if name == "mac" else None
