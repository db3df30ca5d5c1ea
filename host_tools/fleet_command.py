"""Boot a fleet of devices against a cloud, all at once or in a ramp, and tell what it took.

Each device is what a board is, on the wire: it derives its key from the enrollment group's, asks
DPS for its hub over TLS and MQTT, waits as it is told, connects to the hub it was assigned and
subscribes. No device tries twice: what went wrong is counted, by reason. Exit code 1 if any did.

example, with the cloud in another terminal:
  keystead cloud --config cloud.toml --ca-out ca.pem
  keystead fleet --config cloud.toml --devices 1000
  keystead fleet --config cloud.toml --devices 5000 \\
      --messages 10 --every 1 --json

The group needs its primary_key in cloud.toml. With --hub-only no device asks DPS: all go straight
to the group's hub, or to any MQTT broker that listens at --cloud. From many machines, and how far
one goes: docs/scale.md.
"""

import argparse
import json
import re
from pathlib import Path

from rich.console import Console

from host_tools import garbage, open_files, signals
from host_tools.emulator.config_file import load
from host_tools.fleet import plan as plans
from host_tools.fleet import report, tls
from host_tools.fleet.fleet import Fleet, Pace
from host_tools.fleet.place import resolved
from host_tools.fleet.results import Summary

_MOST = 1_000_000  # devices; ports, files and memory end long before


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    _add_cloud(parser)
    _add_devices(parser.add_argument_group("the devices"))
    _add_pace(parser.add_argument_group("their pace"))
    _add_telemetry(parser.add_argument_group("their telemetry"))
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _add_cloud(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the cloud's cloud.toml")
    add(
        "--cloud",
        default="127.0.0.1:8883",
        metavar="HOST:PORT",
        help="where DPS and every hub are reached (default: %(default)s)",
    )
    add(
        "--ca",
        type=Path,
        metavar="FILE",
        help="trust these roots (default: ca.pem beside the config)",
    )


def _add_devices(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--devices", type=_count, required=True, metavar="N", help="how many")
    add("--group", default="", metavar="NAME", help="enrollment group (default: the first)")
    add(
        "--prefix",
        default=plans.PREFIX,
        metavar="TEXT",
        help="registration IDs are this and a number (default: %(default)s)",
    )
    add("--first", type=_count, default=1, metavar="N", help="the first number (default: 1)")
    add("--hub-only", action="store_true", help="go straight to the hub, without DPS")
    add(
        "--clean",
        type=int,
        choices=(0, 1),
        default=1,
        help="MQTT's clean session at the hub (default: 1)",
    )


def _add_pace(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--ramp",
        type=_number,
        default=0,
        metavar="N",
        help="devices that begin each second (default: all at once)",
    )
    add(
        "--at-once",
        type=_number,
        default=0,
        metavar="N",
        help="TLS hand-shakes under way at the same time (default: no limit)",
    )
    add(
        "--stay",
        type=_seconds,
        default=0,
        metavar="S",
        help="seconds to stay connected after all that (default: leave at once)",
    )
    add(
        "--limit",
        type=_seconds,
        default=60,
        metavar="S",
        help="seconds to wait for any answer (default: %(default)s)",
    )


def _add_telemetry(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--messages",
        type=_number,
        default=0,
        metavar="N",
        help="telemetry of each device once all are there, QoS 1 (default: none)",
    )
    add(
        "--every",
        type=_seconds,
        default=0,
        metavar="S",
        help="seconds from one message to the next (default: as soon as the PUBACK came)",
    )
    add(
        "--size",
        type=_number,
        default=61,
        metavar="BYTES",
        help="of a message's body (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Boot, talk, stay, leave, report."""
    config = load(args.config)
    group = plans.choose_group(config, args.group, str(args.config))
    plan = plans.Plan(
        id_scope=config.id_scope,
        hub=plans.home(config, group),
        clean=bool(args.clean),
        limit=args.limit,
        token_life=int(plans.Plan.token_life + args.stay + args.messages * args.every),
        payload=plans.body(args.size),
    )
    context = tls.trusting(args.ca or args.config.parent / "ca.pem")
    place = resolved(args.cloud, "--cloud")
    open_files.allow(args.devices)
    garbage.search_rarely()
    fleet = Fleet(
        plan,
        plans.members(group, args.devices, args.prefix, args.first),
        place,
        context,
        Pace(args.ramp, args.at_once),
        dps=not args.hub_only,
    )
    return _tell(signals.run(_live(fleet, args)), args.json)


async def _live(fleet: Fleet, args: argparse.Namespace) -> Summary:
    async with fleet, report.progress(Console(stderr=True), fleet):
        await fleet.boot()
        if args.messages:
            await fleet.talk(args.messages, args.every)
        if args.stay:
            await fleet.stay(args.stay)
        await fleet.leave()
    return fleet.summary()


def _tell(summary: Summary, as_json: bool) -> int:
    document = summary.document()
    if as_json:
        print(json.dumps(document, indent=1))
    else:
        report.show(Console(highlight=False), document)
    return 1 if summary.failed else 0


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,7}", text) or int(text) > _MOST:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number: 0 to {_MOST}")
    return int(text)


def _count(text: str) -> int:
    number = _number(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is too few")
    return number


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number of seconds")
    return float(text)
