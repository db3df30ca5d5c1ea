"""What holds for all tests."""

import signal

from hypothesis import HealthCheck, settings

# a shell has its background jobs ignore Ctrl-C, and what they start inherits that; tests send it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# on a machine that is busy with other things a test may be slow without being wrong
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
