"""Cloud serve: all that one `keystead cloud` listens on, until it ends.

Owns the ports and their options, and what a device or a person needs to know of them. Doesn't own
what speaks there (emulator/serve).
"""

import argparse
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from host_tools.emulator.amqp.hub_door import HubDoor
from host_tools.emulator.clock import Clock
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.events import Dropped
from host_tools.emulator.host_names import dialable, place
from host_tools.emulator.names import Names
from host_tools.emulator.report import Facts, describe
from host_tools.emulator.rest.address import Address
from host_tools.emulator.rest.service import serve_rest
from host_tools.emulator.serve.amqp import PORT as AMQP_PORT
from host_tools.emulator.serve.amqp import AmqpSessions, serve_amqp
from host_tools.emulator.serve.datagrams import serve_datagrams
from host_tools.emulator.serve.http import PORT as REST_PORT
from host_tools.emulator.serve.listener import HOST, PORT, serve
from host_tools.errors import CommandError

_UNSET = object()
_AZURE = ("*.azure-devices.net", "*.azure-devices-provisioning.net")


def add_ports(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say where to listen."""
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        default=PORT,
        help="MQTT, 0 for a free port (default: %(default)s, where SDKs look)",
    )
    for option, default, what in (
        ("--rest-port", REST_PORT, "service REST, MQTT over WebSocket, portal"),
        ("--amqp-port", AMQP_PORT, "AMQP, by which service SDKs send messages"),
    ):
        parser.add_argument(
            option,
            type=_port_or_none,
            default=_UNSET,
            metavar="PORT",
            help=f"{what}; 0 for a free port, none for none"
            f" (default: {default}, and a free one with --port 0)",
        )
    for name, what in (
        ("dns", "a name server that leads Azure's names here"),
        ("ntp", "a time server"),
    ):
        parser.add_argument(
            f"--{name}-port", type=_port, metavar="PORT", help=f"UDP: {what} (default: none)"
        )
    parser.add_argument(
        "--dns-answer",
        type=_address,
        metavar="ADDRESS",
        help="the IPv4 address that the name server leads to (default: that of --host)",
    )


@dataclass
class Served:
    """What listens, and where."""

    cloud: Cloud
    host: str
    ca: Path
    port: int
    rest: Address | None = None
    others: dict[str, int] = field(default_factory=dict)  # port by what speaks there

    def facts(self, show_keys: bool) -> Facts:
        """Return what report.describe() says, and the other ports; raise StoreError."""
        said = describe(self.cloud, self.host, self.port, self.ca, show_keys, self.rest)
        return {**said, "ports": self.others}


@asynccontextmanager
async def serving(cloud: Cloud, args: argparse.Namespace, ca: Path) -> AsyncIterator[Served]:
    """Listen wherever args say until the block ends; raise CommandError."""
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(serve(cloud, args.host, args.port))
        served = Served(cloud, args.host, ca, listener.port)
        await _serve_services(served, args, stack)
        if args.dns_port is not None:
            names = Names(dict.fromkeys(_AZURE, _here(args)), cloud.faults)
            await _serve_datagrams(served, "DNS", args.dns_port, names, stack)
        await _serve_datagrams(served, "NTP", args.ntp_port, Clock(cloud.faults), stack)
        yield served


async def _serve_services(served: Served, args: argparse.Namespace, stack: AsyncExitStack) -> None:
    cloud, door = served.cloud, HubDoor(served.cloud.hubs, served.cloud.tell)

    def failed(address: str, why: str) -> None:
        cloud.tell(Dropped(time.time(), address, why))

    amqp_port = _chosen(args, args.amqp_port, AMQP_PORT)
    rest_port = _chosen(args, args.rest_port, REST_PORT)
    if amqp_port is not None:
        context = cloud.tls_context(args.host)
        amqp = serve_amqp(door, context, args.host, amqp_port, failed, cloud.traces)
        served.others["AMQP"] = (await stack.enter_async_context(amqp)).port
    if rest_port is not None:
        endpoint = place(dialable(args.host), served.port)
        served.rest = await stack.enter_async_context(
            serve_rest(
                cloud,
                args.host,
                rest_port,
                endpoint,
                lambda _: served.facts(False),
                AmqpSessions(door, cloud.traces),
            )
        )


async def _serve_datagrams(
    served: Served, what: str, port: int | None, answers: Names | Clock, stack: AsyncExitStack
) -> None:
    if port is not None:
        serving = serve_datagrams(answers.answer, served.host, port, what, served.cloud.clock)
        served.others[what] = await stack.enter_async_context(serving)


def _here(args: argparse.Namespace) -> str:
    if args.dns_answer:
        return str(args.dns_answer)
    try:
        address = IPv4Address(args.host)
    except ValueError:
        address = IPv4Address(0)
    if address == IPv4Address(0):
        raise CommandError(
            f"--host {args.host} is not one IPv4 address: name with --dns-answer the one that"
            " boards are to dial"
        )
    return str(address)


# a cloud that listens wherever there is room does so everywhere
def _chosen(args: argparse.Namespace, given: object, default: int) -> int | None:
    if given is _UNSET:
        return default if args.port else 0
    assert given is None or isinstance(given, int)
    return given


def _port_or_none(text: str) -> int | None:
    return None if text == "none" else _port(text)


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not an IPv4 address") from None


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port: 0 to 65535")
    return int(text)
