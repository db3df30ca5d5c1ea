"""The process of one port, from the outside: started without arguments that hold anything.

Apart from worker.py, so that the parent never imports esptool: its logger is one for a process.
"""

import os
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from host_tools.key_sources import shield


def run(pipe: "Connection[Any, Any]", url: str) -> None:
    """Serve a port until the pipe is closed or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us, having told the ledger
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    shield.forbid_core_dumps()  # nor is its memory, which will have a device key, for others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from host_tools.flash import worker

    worker.serve(pipe, url)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)  # the port is free again, whatever was under way
