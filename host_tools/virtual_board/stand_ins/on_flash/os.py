"""os, as on an ESP32: uname(), and a root without the folder that leads to the host."""

from collections import namedtuple

import _host
import uos
from uos import *

_HIDDEN = ".chip"


def listdir(path=""):
    return [name for name in uos.listdir(path) if name != _HIDDEN]


def ilistdir(path=""):
    return (entry for entry in uos.ilistdir(path) if entry[0] != _HIDDEN)


def uname():
    import sys

    release = ".".join(map(str, sys.implementation[1][:3]))
    fields = namedtuple("", ("sysname", "nodename", "release", "version", "machine"))
    version = sys.version[sys.version.find("v") :]
    return fields("esp32", "esp32", release, version, _host.SETTING["machine"])
