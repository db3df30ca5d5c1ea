"""Memory: modules that were needed once leave the heap.

Owns sys.modules. What is still running or referred to stays until it is not.
"""

import gc
import sys

import keystead
import rim


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
    forget(*[name for name in sys.modules if "." in name and _ours(name) and name not in kept])


def _ours(name: str) -> bool:
    return name.partition(".")[0] in ("keystead", "rim")
