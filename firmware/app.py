"""The application: replace this file with your own. It is started when the hub is connected.

device.send(payload, properties), device.wait(seconds), device.device_id, device.hub
"""

import gc
import time

INTERVAL = 5  # seconds


def run(device):
    """Send seconds since the start and free memory for ever."""
    started = time.time()
    while True:
        gc.collect()
        device.send({"uptime": time.time() - started, "free": gc.mem_free()})
        device.wait(INTERVAL)
