"""The chip: what it was born with and what it is wired to, from the file KEYSTEAD_CHIP names.

{"mac": "a1b2c3d4e5f6",       six bytes in hex
 "epoch": 2000,               the year its clock counts from, 1970 or 2000
 "nvs": "folder",             its NVS partition, a folder a namespace, a file a key
 "speed": 1,                  how many times faster than the host its time runs
 "cause": 1,                  why it starts: a number that machine.reset_cause() returns
 "cut": 0,                    k: power goes after its k-th NVS commit; -k: in its place
 "rtc": "file",               its RTC memory
 "uarts": {"1": "path"},      what each serial line leads to: a tty, a pipe, a file
 "clock": "file",             what its clock was set to and when, while it has power
 "air": "file",               what surrounds it while it runs, see network.py
 "ntp": [0],                  answer after answer, the last for ever: seconds that NTP servers
                              without a line in "hosts" are wrong by, null if none answers
 "hosts": {"name": ["address", port]},  names the bench's DNS knows, "name:port" for one port
                              of it; "*" is any other, null a name that it says does not exist
 "files": "/proc/self/fd",     where the process's open files are listed, if not there
 "world": {}}                 what a world.py wants to know that is not the bench's own
"""

import json
import os

import world

with open(os.getenv("KEYSTEAD_CHIP")) as _file:
    _chip = json.load(_file)

MAC = bytes(int(_chip["mac"][i : i + 2], 16) for i in range(0, 12, 2))
EPOCH = 946684800 if _chip["epoch"] == 2000 else 0  # Unix time of the chip's second 0
NVS = _chip["nvs"]
SPEED = _chip["speed"]
CAUSE = _chip["cause"]
CUT = _chip["cut"]
RTC = _chip["rtc"]
UARTS = _chip["uarts"]
AIR = _chip["air"]
NTP = _chip["ntp"]
HOSTS = _chip["hosts"]
FILES = _chip.get("files", "/proc/self/fd")

world.begin(_chip)
_offset = 0  # what the clock showed at power-on
try:
    with open(_chip["clock"]) as _file:
        _shown, _then = map(int, _file.read().split())
    _offset = _shown + (world.unix_time() - _then) * SPEED - EPOCH - world.uptime()
except OSError:  # nobody set it since power came
    pass


def seconds():
    """Return the chip's clock: seconds since its epoch; 0 at power-on until it is set."""
    return _offset + world.uptime()


def set_clock(unix_time):
    """Make the chip's clock show this Unix time; a reset does not stop it, losing power does."""
    global _offset
    _offset = unix_time - EPOCH - world.uptime()
    with open(_chip["clock"], "w") as file:
        file.write("%d %d" % (unix_time, world.unix_time()))
