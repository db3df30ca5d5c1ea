"""Say each packet once, and wait for each answer. {"at", "filter", "topic", "size"} -> {}.

The order is CONNECT, SUBSCRIBE, PUBLISH at QoS 1, PUBLISH again; see clients.py for at.
"""

import json
import sys

from clients import connect

settings = json.load(sys.stdin)
client = connect(settings["at"], settings["filter"])
for _ in range(2):
    client.publish(settings["topic"].encode(), b"x" * settings["size"], qos=1)
print("{}")
