"""The application: replace this file with your own, docs/application.md tells how.

It is started when the hub is connected, or at once if config.json has a journal.
"""

import gc

INTERVAL = 5  # seconds


def run(device):
    """Send for ever how long this has gone on, in seconds, and how much memory is free."""
    uptime = 0
    while True:
        gc.collect()
        device.send({"uptime": uptime, "free": gc.mem_free()})
        device.wait(INTERVAL)
        uptime += INTERVAL
