"""Assignment: which hub is the device's, from flash or from DPS.

Owns the choice between the two, and what is kept. Loaded for a connection, unloaded after it.
"""

from keystead import hub
from rim import clock
from rim.log import log
from rim.memory import once


def assign(device, who: tuple, context) -> int:
    """Give the device hub and device ID: the cached ones, or what DPS says. Raises Failure.

    Returns 0, or seconds to wait before all else: the device's place in a rush of first boots.
    who: registration ID, ID scope, DPS endpoint, CRC of the factory record.
    """
    cached = once("keystead.assignment.unpack", once("rim.flash.load", "hub"), who[3])
    device.fresh = not cached or bool(device.life["dps"])
    if device.fresh:
        if not cached and not device.spread_out:
            device.spread_out = True
            wait = int(once("keystead.course.spread", who[0], device.settings.spread))
            if wait:
                log("first boot: %d s, so that not all come at once" % wait)
                return wait
        cached = _provision(device, who, context)
    else:
        device.saved += 1
    device.hub, device.device_id = cached[:2]
    log("assigned hub: %s, device ID: %s" % cached[:2])
    return 0


def _provision(device, who: tuple, context) -> tuple:
    """Return (hub, device ID) as DPS says, and keep them."""
    door = once("keystead.dps.door", who[1], who[0])
    token = once("rim.credentials.token", door[1], "registration")
    payload = dict(device.settings.payload or {}, modelId=hub.MODEL_ID)
    assigned = once("rim.provision.provision", who, door, token, context, payload, device.feed)
    device.life["dps"] = 0
    device.life["down"] = -1  # the hub gets its time, before DPS is asked once more
    device.subscribed = False
    device.payload = assigned.payload
    device.provisionings += 1
    name = assigned.hub, assigned.device_id
    kept = once("keystead.assignment.pack", *name, clock.unix_time(), who[3])
    once("rim.flash.save", "hub", kept)
    return name
