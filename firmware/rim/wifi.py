"""Wi-Fi: join one of the stations this board knows.

Owns the radio and what its codes mean. Doesn't own names and passwords: they are arguments.
"""

import network

from keystead.failure import Failure

_LIMIT = 20  # seconds for one; the chip may be refused at first and let in when it tries again
_TRIES = 20  # of the chip by itself, more than fit into the limit
_MAYBE = "wrong password?"  # all the chip knows is that the access point stopped answering
_WHY = {2: _MAYBE, 15: _MAYBE, 204: _MAYBE, 201: "not found", 202: "wrong password",
        1001: "no address"}  # fmt: skip


def join(known, wait, doubt):
    """Return the interface, connected to the first of the known stations that lets it in.

    Those that are seen come first; hidden ones last, as does, in doubt, the one it was on.
    """
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    failures = []
    for station in _ordered(wlan, known, doubt):
        ssid = station["ssid"]
        try:
            wlan.config(reconnects=_TRIES)  # counted, else the chip tells no reason
            wlan.connect(ssid, station.get("password"))
            if wait(wlan.isconnected, _LIMIT):
                wlan.config(reconnects=-1)  # from now on it comes back by itself
                return wlan
            wlan.config(reconnects=0)
            status = wlan.status()
        except (OSError, RuntimeError) as error:  # "Wifi Internal Error": it is busy
            status = error.args[0]
        failures.append("%s: %s" % (ssid, _WHY.get(status, status)))
        wlan.disconnect()
    wlan.active(False)
    raise Failure("network-down", ", ".join(failures), status)


def _ordered(wlan, known, doubt) -> list:
    if len(known) == 1:
        return known
    seen = [found[0] for found in wlan.scan()]
    last = doubt and wlan.config("ssid")
    first = [one for one in known if one["ssid"].encode() in seen and one["ssid"] != last]
    return first + [one for one in known if one not in first]
