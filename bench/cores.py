"""Cores: which one a process runs on, where the system lets us say so (Linux)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def available() -> list[int]:
    """Return the cores this process may use, none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def placements() -> dict[str, tuple[int | None, int | None]]:
    """Return the ways to place two processes that talk to each other."""
    cores = available()
    if not cores:
        return {"unpinned": (None, None)}
    ways: dict[str, tuple[int | None, int | None]] = {"one core": (cores[0], cores[0])}
    if len(cores) > 1:
        ways["two cores"] = (cores[0], cores[1])
    return ways


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Let this thread, and processes it starts, run on one core; None: wherever they like."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
