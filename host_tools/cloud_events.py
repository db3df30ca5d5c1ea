"""Cloud events: print what happens in a cloud that runs, or what happened lately.

Owns the stream's end at the reader: what it asks for, how it goes on after a break. Doesn't own
the events' words: the cloud sends them as it prints them itself.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime

from host_tools import cloud_client, signals
from host_tools.cloud_client import refusal, unreachable
from host_tools.emulator.outlet import Outlet, stdout
from host_tools.emulator.rest.control_file import Control
from host_tools.emulator.styles import Painter
from host_tools.errors import CommandError

Query = list[tuple[str, str | int | float | bool | None]]  # as httpx wants it

_SILENCE = 35.0  # seconds: the cloud says that it is alive each ten
_PAUSES = (0.5, 1.0, 2.0)  # seconds before the next try; the last one for all others


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--follow",
        action="store_true",
        help="print what happens from now on, until interrupted, also when the cloud starts anew"
        " (default: print the last 10 000 events and end)",
    )
    parser.add_argument(
        "--all", action="store_true", help="with --follow: print the earlier ones first"
    )
    for name, what in (("device", "ID"), ("event", "NAME"), ("hub", "NAME")):
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar=what,
            help=f"only of this {name}; may be given several times",
        )


def run(args: argparse.Namespace) -> int:
    """Print events; return the exit code; CommandError."""
    cloud_client.find(args)  # what is wrong with the options is said before anything else
    return signals.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    failures: list[OSError] = []

    def failed(error: OSError) -> None:
        failures.append(error)
        with suppress(RuntimeError):  # at the end, when the loop is closed
            loop.call_soon_threadsafe(ended.set)

    outlet = Outlet(stdout(), failed, lambda count: _missed(count, _as_json(args)))
    reading = asyncio.create_task(_read(args, outlet))
    watching = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait((reading, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, watching):
            task.cancel()
        await asyncio.wait((reading, watching))
        await asyncio.to_thread(outlet.close)
    if not reading.cancelled():
        reading.result()
    # nobody reads any more: that is an end like any other
    if failures and not isinstance(failures[0], BrokenPipeError):
        raise CommandError(f"can not write to stdout: {failures[0].strerror}")
    return 0


async def _read(args: argparse.Namespace, outlet: Outlet) -> None:
    printer, last = _Printer(outlet, _as_json(args)), ""
    if args.all or not args.follow:
        kept = [*_query(args), ("from", "0"), ("follow", "0")]
        async for number, event in _events(cloud_client.find(args), kept, last):
            last = number
            printer.show(event, at_any_rate=True)
    if args.follow:
        await _follow(args, printer, last)


# a break before the first word from the cloud is an error, a later one only a pause
async def _follow(args: argparse.Namespace, printer: "_Printer", last: str) -> None:
    tries = 0
    while True:
        why = "the stream ended"
        try:
            async for number, event in _events(cloud_client.find(args), _query(args), last):
                last, tries = number, 0
                printer.show(event)
        except CommandError as error:
            if not last:
                raise
            why = str(error)
        if not tries:
            print(f"keystead cloud: {why}; waiting for it", file=sys.stderr, flush=True)
        await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1


# id: {run}-{number}\ndata: {JSON}\n\n; without data it only says where the stream begins, and what
# begins with a colon is a comment
async def _events(control: Control, asked: Query, last: str) -> AsyncIterator[tuple[str, str]]:
    import httpx

    headers = {"Last-Event-ID": last} if last else {}
    number, data = last, ""
    async with cloud_client.client(control) as http:
        try:
            async with http.stream(
                "GET", "/keystead/events", params=asked, headers=headers, timeout=_SILENCE
            ) as response:
                if response.is_error:
                    raise refusal(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        number = value
                    elif name == "data":
                        data = value
                    elif not line:
                        yield number, data
                        data = ""
        except httpx.HTTPError as error:
            raise unreachable(control.url, error) from None


class _Printer:
    """Prints events as the cloud itself does."""

    def __init__(self, outlet: Outlet, as_json: bool) -> None:
        self._outlet = outlet
        self._paint = None if as_json else Painter()

    # {"event": name, "time": ..., "line": words}, and where some were missed {"event", "count"}
    def show(self, text: str, at_any_rate: bool = False) -> None:
        """Print an event's JSON, "" is none; at any rate: even if nobody reads by now."""
        if text and self._paint:
            event = json.loads(text)
            if "line" in event:
                time = datetime.fromisoformat(event["time"]).astimezone().strftime("%H:%M:%S")
                text = self._paint.event(event["event"], f"{time} {event['line']}")
            else:
                text = _missed(event["count"], as_json=False)
        if text:
            self._outlet.put(text, at_any_rate)


def _missed(count: int, as_json: bool) -> str:
    if as_json:
        return json.dumps({"event": "not-shown", "count": count})
    return f"... {count} events not shown"


def _as_json(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "json", False))


def _query(args: argparse.Namespace) -> Query:
    asked: Query = [
        (name, one) for name in ("device", "event", "hub") for one in getattr(args, name)
    ]
    return asked if _as_json(args) else [*asked, ("words", "1")]
