"""The chip: what it was born with and what it is wired to, from the file KEYSTEAD_CHIP names.

{"mac": "a1b2c3d4e5f6",       six bytes in hex
 "epoch": 2000,               the year its clock counts from, 1970 or 2000
 "nvs": "folder",             its NVS partition, a folder a namespace, a file a key
 "speed": 1,                 how many times faster than the host its time runs
 "bitten": false,            whether the watchdog caused the last reset
 "wifi": {"ssid": "password"}, networks in the air
 "ntp": [0],                  answer after answer, the last for ever: seconds the NTP server is
                              wrong by, null if none answers
 "hosts": {"name": ["address", port]}}  names the bench's DNS knows; "*" is any other, null
                              a name that it says does not exist
"""

import json
import os

import utime

with open(os.getenv("KEYSTEAD_CHIP")) as _file:
    _chip = json.load(_file)

MAC = bytes(int(_chip["mac"][i : i + 2], 16) for i in range(0, 12, 2))
EPOCH = 946684800 if _chip["epoch"] == 2000 else 0  # Unix time of the chip's second 0
NVS = _chip["nvs"]
SPEED = _chip["speed"]
BITTEN = _chip["bitten"]
WIFI = _chip["wifi"]
NTP = _chip["ntp"]
HOSTS = _chip["hosts"]

_powered_on = utime.time()
_offset = 0  # what the clock showed at power-on


def _uptime():
    return int((utime.time() - _powered_on) * SPEED)


def seconds():
    """Return the chip's clock: seconds since its epoch; 0 at power-on until it is set."""
    return _offset + _uptime()


def set_clock(unix_time):
    """Make the chip's clock show this Unix time."""
    global _offset
    _offset = unix_time - EPOCH - _uptime()
