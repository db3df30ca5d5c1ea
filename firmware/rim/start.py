"""The start: from power-on to an application that runs, for ever.

Owns the order. What goes wrong with an application is rim.guest's.
"""

import sys
import time

import machine

_WATCHDOG = 300_000  # milliseconds; a lost line is noticed after 180 s, a dial takes 20 and DNS
_AT_THE_REPL = 3_600_000  # milliseconds left to somebody who pressed Ctrl-C
_BREATH = 10  # seconds before a reset that nothing else slows down


def run() -> None:
    """Start, and go on for ever. Returns never, but for Ctrl-C."""
    watchdog = machine.WDT(timeout=_WATCHDOG)
    try:
        from rim.guest import make

        device = make(watchdog.feed)
        del make
        device.tidy()
        # with a journal an application can work without a hub
        while not device.online and not device.journal:
            device.turn(1000)  # and no further: what comes waits for the application's handlers
        while True:
            _serve(device)
    except KeyboardInterrupt:
        machine.WDT(timeout=_AT_THE_REPL)
        raise
    except MemoryError:
        from rim.memory import give_up

        give_up()
    except Exception as error:
        sys.print_exception(error)
        time.sleep(_BREATH)
    machine.reset()


def _serve(device) -> None:
    """Run the application until it ends; the connection stays."""
    try:
        from app import run

        device.kept = tuple(sys.modules)
        running = run(device)
        if hasattr(running, "send"):  # async def
            from rim.together import both

            both(running, device)
        ended: BaseException | None = None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and asyncio.CancelledError are an end like any
        ended = error
    from rim.guest import rest

    rest(device, ended)
