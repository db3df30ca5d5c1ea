"""The ground a connection stands on: network, clock and roots.

Owns their order. Loaded before a connection and unloaded before it is made.
"""

import time

from rim import clock
from rim.log import log
from rim.memory import once

_SERVERS = "pool.ntp.org", "time.windows.com", "time.google.com"
_DAY = 86400  # seconds between two looks at a time server
_JUMP = 300  # seconds, as rim.device has it


def ground(device, endpoint: str):
    """Return a tls.SSLContext once network and clock are there. Raises Failure."""
    settings, life = device.settings, device.life
    # a minute without a hub, and nobody refused anything: the network may lead nowhere
    astray = not life["refused"] and 0 <= life["down"] < log.uptime() - 60
    log("network: " + once("rim.link.up", settings.links, device.feed, astray))
    context = once("rim.roots.context")
    # as many seconds went by as ticks did, or somebody set the clock off
    gone = time.ticks_diff(time.ticks_ms(), device.since) // 1000
    doubt = abs(time.time() - device.time - gone) > _JUMP
    doubt = doubt or bool(life["doubt"]) or time.time() - device.asked > _DAY
    servers = settings.ntp or _SERVERS
    if once("rim.ladder.ensure", servers, doubt, context, endpoint, device.feed) is not None:
        device.asked = time.time()
    log("clock: " + clock.stamp())
    return context
