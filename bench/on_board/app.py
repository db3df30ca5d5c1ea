"""The bench's application: says how much heap a connected board keeps, and which modules."""

import gc
import json
import sys


def run(device):
    gc.collect()
    heap = gc.mem_alloc()
    print("bench " + json.dumps({"heap": heap, "modules": list(sys.modules)}))
    while device:
        device.wait(60)
