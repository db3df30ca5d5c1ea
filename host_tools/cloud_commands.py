"""Cloud commands: what `keystead cloud VERB` asks of a cloud that runs.

Owns the table of verbs, and those that are a request or two: devices, twin, send, method. Each
verb is two functions, add_arguments(parser) and run(args).
"""

import argparse
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from host_tools import cloud_client, cloud_events, cloud_fault
from host_tools.cloud_client import CloudClient
from host_tools.errors import CommandError

_METHOD_PATIENCE = 30  # seconds


class Command(NamedTuple):
    """A verb: its options, what it does, and one line of help."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    help: str


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare all verbs, each of which may be missing."""
    verbs = parser.add_subparsers(dest="cloud_verb", metavar="VERB", title="to a cloud that runs")
    for name, command in COMMANDS.items():
        inner = verbs.add_parser(name, help=command.help, description=command.help)
        command.add_arguments(inner)
        if name != "fault":  # whose verbs have them
            cloud_client.add_arguments(inner)
        inner.set_defaults(cloud_command=command.run)


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", metavar="DEVICE", help="a device ID")
    cloud_client.add_hub(parser)


def _as_json(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "json", False))


def _devices_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hub", default="", help="of this hub only (default: of all)")


# DEVICE  HUB  enabled|disabled  connected|-  messages that wait
def _devices(args: argparse.Namespace) -> int:
    async def work(cloud: CloudClient) -> int:
        for hub in [args.hub] if args.hub else await cloud.hubs():
            root = f"/keystead/hubs/{quote(hub, safe='')}"
            query = {"query": f"SELECT {', '.join(_SHOWN)} FROM devices"}
            async for page in cloud.pages("POST", f"{root}/devices/query", json=query):
                for device in page:
                    print(_device_line(hub, device, _as_json(args)))
        return 0

    return cloud_client.run(args, work)


_SHOWN = ("deviceId", "status", "connectionState", "lastActivityTime", "cloudToDeviceMessageCount")


def _device_line(hub: str, device: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps({"hub": hub, **device})
    there = device["connectionState"].lower() if device["connectionState"] == "Connected" else "-"
    waiting = device["cloudToDeviceMessageCount"]
    return f"{device['deviceId']}\t{hub}\t{device['status']}\t{there}\t{waiting} waiting"


def _twin_arguments(parser: argparse.ArgumentParser) -> None:
    _device(parser)
    parser.add_argument(
        "--patch",
        metavar="JSON",
        help='merge this into the twin first: {"tags": ..., "properties": {"desired": ...}},'
        " or desired properties alone",
    )


def _twin(args: argparse.Namespace) -> int:
    patch = _object(args.patch, "--patch") if args.patch is not None else None
    if patch is not None and not patch.keys() & {"tags", "properties"}:
        patch = {"properties": {"desired": patch}}

    async def work(cloud: CloudClient) -> int:
        root = await cloud.hub_of(args.device, args.hub)
        path = f"{root}/twins/{quote(args.device, safe='')}"
        if patch is None:
            twin = await cloud.ask("GET", path)
        else:
            twin = await cloud.ask("PATCH", path, json=patch)
        print(json.dumps(twin, indent=None if _as_json(args) else 2))
        return 0

    return cloud_client.run(args, work)


def _send_arguments(parser: argparse.ArgumentParser) -> None:
    _device(parser)
    parser.add_argument("text", metavar="TEXT", help="the body of the message")
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an application property; may be given several times",
    )


def _send(args: argparse.Namespace) -> int:
    properties = dict(_pair(text) for text in args.property)

    async def work(cloud: CloudClient) -> int:
        root = await cloud.hub_of(args.device, args.hub)
        path = f"{root}/devices/{quote(args.device, safe='')}/messages"
        body = args.text.encode(errors="surrogateescape")
        await cloud.ask("POST", path, content=body, params=properties)
        waiting = (await cloud.ask("GET", path.removesuffix("/messages")))[_WAITING]
        said = {"device": args.device, "waiting": waiting}
        print(json.dumps(said) if _as_json(args) else f"sent; {waiting} waiting")
        return 0

    return cloud_client.run(args, work)


_WAITING = "cloudToDeviceMessageCount"


def _method_arguments(parser: argparse.ArgumentParser) -> None:
    _device(parser)
    parser.add_argument("name", metavar="NAME", help="the method's name")
    parser.add_argument("payload", metavar="JSON", nargs="?", default="null")
    parser.add_argument(
        "--timeout",
        type=int,
        default=_METHOD_PATIENCE,
        metavar="SECONDS",
        help="for the answer, 5 to 300 (default: %(default)s)",
    )
    parser.add_argument(
        "--connect-timeout",
        type=int,
        default=0,
        metavar="SECONDS",
        help="for a device that is not connected to come back (default: %(default)s)",
    )


def _method(args: argparse.Namespace) -> int:
    call = {
        "methodName": args.name,
        "payload": _json(args.payload, "the payload"),
        "responseTimeoutInSeconds": args.timeout,
        "connectTimeoutInSeconds": args.connect_timeout,
    }

    async def work(cloud: CloudClient) -> int:
        root = await cloud.hub_of(args.device, args.hub)
        path = f"{root}/twins/{quote(args.device, safe='')}/methods"
        patience = args.timeout + args.connect_timeout + 30.0
        answer = await cloud.ask("POST", path, json=call, patience=patience)
        text = f"{answer['status']} {json.dumps(answer['payload'])}"
        print(json.dumps(answer) if _as_json(args) else text)
        return 0

    return cloud_client.run(args, work)


COMMANDS = {
    "events": Command(
        cloud_events.add_arguments, cloud_events.run, "print what happens, or happened"
    ),
    "devices": Command(_devices_arguments, _devices, "list the devices of its hubs"),
    "twin": Command(_twin_arguments, _twin, "print a device's twin, or change it"),
    "send": Command(_send_arguments, _send, "send a message to a device"),
    "method": Command(_method_arguments, _method, "call a method of a device"),
    "fault": Command(cloud_fault.add_arguments, cloud_fault.run, cloud_fault.HELP),
}


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError(f"{what} is not JSON: {text[:80]!r}") from None


def _object(text: str, what: str) -> dict[str, Any]:
    value = _json(text, what)
    if not isinstance(value, dict):
        raise CommandError(f"{what} is not a JSON object: {text[:80]!r}")
    return value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--property {text[:80]!r} is not NAME=VALUE")
    return name, value
