"""Wi-Fi: join one of the networks this board knows.

Owns the radio. Doesn't own names and passwords: they are arguments.
"""

import time

import network

from keystead.failure import Failure

_LIMIT = 20  # seconds for one network


def join(networks: list, feed) -> str:
    """Return this board's address after joining the first network that lets it in.

    networks: (ssid, password) in order of preference. Raises Failure network-down.
    """
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    if wlan.isconnected():
        return wlan.ifconfig()[0]
    status = 0
    for ssid, password in networks:
        try:
            wlan.connect(ssid, password)
            if _joined(wlan, feed):
                return wlan.ifconfig()[0]
            status = wlan.status()
        except (OSError, RuntimeError) as error:  # "Wifi Internal Error": it is busy connecting
            status = error.args[0]
        wlan.disconnect()
    raise Failure("network-down", ", ".join(ssid for ssid, _ in networks), status)


def _joined(wlan, feed) -> bool:
    for _ in range(_LIMIT * 10):
        if wlan.isconnected():
            return True
        feed()
        time.sleep_ms(100)
    return False
