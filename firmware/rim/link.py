"""The link: which of the configured networks the board is on.

Owns the choice; how one is joined is in rim.wifi, rim.ethernet and rim.cellular, of which only
those that are configured are loaded. One at a time is up: two would leave the route to chance.

The network that worked last is tried first. From half an hour on after the preferred ones were
tried, they are again, at the next connection: for a fresh token there is one every 48 minutes.
What must be remembered is the package's, as this module is forgotten between two connections.
"""

import time

import rim
from keystead.failure import Failure
from rim.log import WARNING, log

_RETURN = 1_800_000  # milliseconds


def up(links, feed, doubt=False) -> str:
    """Return the address on the first network that lets the board in, and its kind.

    links: (kind, what config.json says of it) in order of preference. doubt: nothing was reached
    over the one that is up, so it comes last. Raises Failure network-down.
    """
    now = time.ticks_ms()
    nic, last, since = rim.uplink or (None, 0, time.ticks_add(now, -_RETURN))
    places = list(range(len(links)))
    if doubt:
        places.append(places.pop(last))
    if doubt or time.ticks_diff(now, since) >= _RETURN:
        since = now
    else:
        places.insert(0, places.pop(last))
    failures = []
    for place in places:
        kind, link = links[place]
        try:
            if doubt or place != last or not is_up():
                if nic:
                    nic.active(False)
                rim.uplink = nic = None
                nic = _join(kind, link, feed, doubt)
            rim.uplink = nic, place, since
            return "%s (%s)" % (nic.ifconfig()[0], kind)
        except Failure as failure:
            failures.append(failure)
            if len(links) > 1:
                log(str(failure), WARNING)
    detail = ", ".join([failure.detail for failure in failures])
    raise Failure("network-down", detail, failures[0].code)


def _join(kind: str, link, feed, doubt: bool):
    """Return the interface, of whatever class, once it is connected."""

    def wait(condition, seconds: int) -> bool:
        for _ in range(seconds * 10):
            if condition():
                return True
            feed()
            time.sleep_ms(100)
        return False

    # the module of this name and no other
    return __import__("rim." + kind, None, None, ("join",)).join(link, wait, doubt)


def is_up() -> bool:
    """Tell whether the board is on a network; not whether that leads anywhere."""
    return rim.uplink is not None and rim.uplink[0].isconnected()
