"""Connecting: every step from a MAC to a client that its hub has let in.

Owns the order of the steps; each is somebody else's, loaded when its turn comes and unloaded after
it: a board has not the heap for all of them at once.
"""

import time

from keystead import hub
from keystead.failure import Failure
from rim import clock
from rim.log import log
from rim.memory import chance, once

_KEEP_ALIVE = 120  # seconds
_SERVERS = "pool.ntp.org", "time.windows.com", "time.google.com"
_DAY = 86400  # seconds between two looks at a time server
_RENEWAL = 2880  # seconds, 0.8 of a token's life
_JITTER = 180  # seconds by which a renewal may be early: boards that came together part


def connect(device) -> None:
    """Connect this rim.device.Device. Raises Failure."""
    who = once("rim.credentials.identity")
    log("factory record: %s, ID scope %s" % who[:2])
    context = _ground(device, who)
    try:
        name = _assigned(device, who, context)
        log("assigned hub: %s, device ID: %s" % name)
        device.hub, device.device_id = name
        device.client = _enter(device, context)
    except Failure as failure:
        if failure.reason in ("hub-refused", "dps-unauthorized", "dps-refused"):
            _refused(device, failure.reason == "hub-refused")
        raise
    log("hub: connected")
    device.lasts = _RENEWAL - int(_JITTER * chance())
    if once("rim.credentials.accepted"):
        device.told["keys"] = "active"
    once("rim.ladder.remember")


def _ground(device, who: tuple):
    """Return the tls.SSLContext once network and clock are there."""
    settings, doubt = device.settings, bool(device.life["doubt"])
    # a minute without a hub, and nobody refused anything: the network may lead nowhere
    astray = not device.life["refused"] and 0 <= device.life["down"] < log.uptime() - 60
    log("network: " + once("rim.link.up", settings.links, device.feed, astray))
    context = once("rim.roots.context")
    doubt = doubt or time.time() - device.asked > _DAY
    servers = settings.ntp or _SERVERS
    if once("rim.ladder.ensure", servers, doubt, context, who[2], device.feed) is not None:
        device.asked = time.time()
    log("clock: " + clock.stamp())
    return context


def _enter(device, context):
    """Return the Client that the hub has let in."""
    name, user = device.device_id, hub.username(device.hub, device.device_id, hub.MODEL_ID)
    token = once("rim.credentials.token", hub.resource(device.hub, name))
    filters = once("keystead.incoming.filters", name)
    client = once("rim.opening.opened", device.hub, context, name, user, token, _KEEP_ALIVE,
                  device.take, device.feed, "hub", filters, not device.subscribed)  # fmt: skip
    device.subscribed = True
    return client


def _assigned(device, who: tuple, context) -> tuple:
    """Return (hub, device ID): the cached ones, or what DPS says."""
    cached = once("keystead.assignment.unpack", once("rim.flash.load", "hub"), who[3])
    device.fresh = not cached or bool(device.life["dps"])
    if not device.fresh:
        device.saved += 1
        return cached[:2]
    if not cached and not device.spread_out:
        device.spread_out = True
        _spread(once("keystead.course.spread", who[0], device.settings.spread), device.feed)
    return _provision(device, who, context)


def _spread(wait: float, feed) -> None:
    log("first boot: %d s, so that not all come at once" % wait)
    for _ in range(int(wait)):
        feed()
        time.sleep(1)


def _provision(device, who: tuple, context) -> tuple:
    """Return (hub, device ID) as DPS says, and keep them."""
    resource = "%s/registrations/%s" % (who[1], who[0])
    token = once("rim.credentials.token", resource, "registration")
    payload = dict(device.settings.payload or {}, modelId=hub.MODEL_ID)
    assigned = once("rim.provision.provision", who, token, context, payload, device.feed)
    device.life["dps"] = 0
    device.subscribed = False
    device.payload = assigned.payload
    device.provisionings += 1
    name = assigned.hub, assigned.device_id
    kept = once("keystead.assignment.pack", *name, clock.unix_time(), who[3])
    once("rim.flash.save", "hub", kept)
    return name


def _refused(device, by_hub: bool) -> None:
    """Take another key next time, or ask DPS if it was a hub that may no longer be ours."""
    if by_hub and not device.fresh and not once("rim.credentials.on_trial"):
        device.life["quick"] = 1
        return
    device.life["quick"], given_up = once("rim.credentials.refused")
    if given_up:
        device.told["keys"] = "refused"
