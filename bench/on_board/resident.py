"""Say how much heap modules keep. {"first": [names], "then": [names]} -> {"heap"}: of the second.
"""

import gc
import json
import sys


def load(names):
    for name in names:
        __import__(name)
    gc.collect()
    return gc.mem_alloc()


settings = json.loads(sys.argv[1])
before = load(settings["first"])
print(json.dumps({"heap": load(settings["then"]) - before}))
