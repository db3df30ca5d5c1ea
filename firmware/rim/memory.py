"""Memory: modules that were needed once leave the heap. And the dice.

Owns sys.modules. What is still running or referred to stays until it is not.
"""

import gc
import os
import sys

import machine

import keystead
import rim

# a client outlives what opened it: loaded again, its code would be in the heap twice
_STAYS = "rim.mqtt", "rim.stream", "keystead.failure"


def chance() -> float:
    """Return a number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536


def give_up() -> None:
    """Reset, as there is no memory to tell a failure; a text that is there already can be said."""
    print("[   -   ] FAILURE 12 out-of-memory: no room to say more, the board resets")
    machine.reset()


def forget(*names: str) -> None:
    """Unload these modules of keystead and rim, as far as they are loaded."""
    for name in names:
        if name in sys.modules:
            del sys.modules[name]
            package, _, module = name.partition(".")
            delattr(keystead if package == "keystead" else rim, module)
    gc.collect()


def forget_all_but(kept: tuple) -> None:
    """Unload every other module of keystead and rim."""
    kept += _STAYS
    forget(*[name for name in sys.modules if "." in name and _ours(name) and name not in kept])


def once(place: str, *arguments):
    """Load a function, e.g. "rim.roots.context", call it, and unload what that loaded."""
    before = tuple(sys.modules)
    try:
        return _called(place, arguments)
    finally:
        forget_all_but(before)


# a function of its own: a frame refers to what it called until it returns, so that of once()
# would have kept the module from the collector
def _called(place: str, arguments: tuple):
    module, _, function = place.rpartition(".")
    return getattr(__import__(module, None, None, (function,)), function)(*arguments)


def _ours(name: str) -> bool:
    return name.partition(".")[0] in ("keystead", "rim")
