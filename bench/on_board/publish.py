"""Publish at QoS 1. {"at", "topic", "size", "rounds", "each", "few"} -> {"us": [...], "garbage"}.

at: see clients.py; size: bytes of payload; few: messages for the garbage of one.
"""

import gc
import json
import sys
import time

from clients import connect

settings = json.load(sys.stdin)
client = connect(settings["at"])
topic = settings["topic"].encode()
payload = b"x" * settings["size"]


def publish(count):
    for _ in range(count):
        client.publish(topic, payload, qos=1)


def times():
    found = []
    for _ in range(settings["rounds"]):
        gc.collect()
        begun = time.ticks_us()
        publish(settings["each"])
        found.append(time.ticks_diff(time.ticks_us(), begun))
    return found


def garbage():
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    publish(settings["few"])
    taken = gc.mem_alloc() - before
    gc.enable()
    return taken / settings["few"]


publish(1)
print(json.dumps({"garbage": garbage(), "us": times()}))
