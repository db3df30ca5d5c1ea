"""Say how much heap modules keep: {"first": [names], "then": [names]} -> {"heap"} of then."""

import gc
import json
import sys


def load(names):
    for name in names:
        __import__(name)
    gc.collect()
    return gc.mem_alloc()


settings = json.load(sys.stdin)
before = load(settings["first"])
print(json.dumps({"heap": load(settings["then"]) - before}))
