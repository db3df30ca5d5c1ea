"""What holds for all tests."""

import signal

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# a shell has its background jobs ignore Ctrl-C, and what they start inherits that; tests send it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# On a machine that is busy with other things a test may be slow without being wrong. What a change
# is judged by has the same examples each time; make soak-tests looks for new ones.
_SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_SLOW)
settings.register_profile("new", **_SLOW)
settings.load_profile("same")

# Hypothesis also draws constants that stand in the modules that are loaded, and which those are is
# a matter of the tests that this worker had before: the same examples have none of them.
if hasattr(providers, "_get_local_constants"):  # its own affair: another version may have none
    _of_modules, _none = providers._get_local_constants, providers.Constants()

    def _constants() -> providers.Constants:
        return _none if settings.default.derandomize else _of_modules()

    providers._get_local_constants = _constants
