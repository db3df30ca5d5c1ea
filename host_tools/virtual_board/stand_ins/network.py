"""network, as on an ESP32 in station mode: lets a board in that knows the password."""

import chip

STA_IF = 0
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_WRONG_PASSWORD = 202
STAT_NO_AP_FOUND = 201
STAT_GOT_IP = 1010


class WLAN:
    def __init__(self, interface):
        self._active = False
        self._status = STAT_IDLE

    def active(self, flag=None):
        if flag is None:
            return self._active
        self._active = flag

    def connect(self, ssid, password=None):
        if not self._active:
            raise OSError("Wifi Not Started")
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
