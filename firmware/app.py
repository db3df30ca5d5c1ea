"""The application: replace this file with your own. It is started when the hub is connected.

device.send(payload, properties), device.wait(seconds), device.device_id, device.hub
"""

import gc
import time

INTERVAL = 10  # seconds


def run(device):
    """Send the board's uptime and free memory for ever."""
    while True:
        gc.collect()
        device.send({"uptime": time.ticks_ms() // 1000, "free": gc.mem_free()})
        device.wait(INTERVAL)
