"""The ground a connection stands on: network, clock and roots.

Owns their order. Loaded before a connection and unloaded before it is made.
"""

import time

from rim import clock
from rim.log import log
from rim.memory import once

_SERVERS = "pool.ntp.org", "time.windows.com", "time.google.com"
_DAY = 86400  # seconds between two looks at a time server


def ground(device, endpoint: str):
    """Return a tls.SSLContext once network and clock are there. Raises Failure."""
    settings, life = device.settings, device.life
    # a minute without a hub, and nobody refused anything: the network may lead nowhere
    astray = not life["refused"] and 0 <= life["down"] < log.uptime() - 60
    log("network: " + once("rim.link.up", settings.links, device.feed, astray))
    context = once("rim.roots.context")
    doubt = bool(life["doubt"]) or time.time() - device.asked > _DAY
    servers = settings.ntp or _SERVERS
    moved = once("rim.ladder.ensure", servers, doubt, context, endpoint, device.feed)
    if moved is not None:
        device.asked = time.time()
    if moved is not None and moved is not False:
        device.time += moved
        life["doubt"] = 0
    log("clock: " + clock.stamp())
    return context
