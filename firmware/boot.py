"""Runs before main.py. Collects early and often: a TLS buffer wants 16 KB in one piece."""

import gc

gc.threshold(gc.mem_free() // 4 + gc.mem_alloc())
