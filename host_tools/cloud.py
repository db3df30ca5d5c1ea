"""Run a DPS and an IoT Hub on the bench: one TLS port for both, no Azure account.

Devices and SDKs provision, connect and send telemetry as they would in Azure: user name, SAS
token and topics decide everything, and what Azure refuses is refused here, with the reason shown.

example, for clients on this machine:
  keystead cloud --ca-out ca.pem --advertise localhost --show-keys

and in another terminal, with the cloud running:
  keystead cloud events --follow
  keystead cloud devices
  keystead cloud twin DEVICE --patch '{"interval": 5}'
  keystead cloud send DEVICE "hello"
  keystead cloud method DEVICE reboot '{"delay": 1}'
  keystead cloud fault add "every board, when it registers, gets 429, twice"

and in Python, with the unmodified azure-iot-device:
  ProvisioningDeviceClient.create_from_symmetric_key(
      provisioning_host="localhost", id_scope="0ne00002193",
      registration_id="dev-1",
      symmetric_key=DEVICE_KEY, server_verification_cert=open("ca.pem").read())
  where DEVICE_KEY is what `keystead derive-key dev-1` makes of the group's key

exit codes of the verbs: 3 where a device is not connected or does not answer in time.

cloud.toml, all of it optional (docs/emulator.md has every key):
  [dps]
  id_scope = "0ne00002193"
  [[enrollment_group]]
  name = "mylegacydevices"
  primary_key = "..."        # Base64, 16 to 64 bytes; generated when absent
  hub = "test-docs-hub.azure-devices.net"
  [[individual_enrollment]]
  registration_id = "bench-1"
  device_id = "pump-7"       # the registration ID when absent
  hub = "test-docs-hub.azure-devices.net"
"""

import argparse
import asyncio
import signal
import time
from contextlib import closing, suppress
from pathlib import Path

from host_tools import cloud_commands, cloud_serve, garbage, open_files
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.config_file import load
from host_tools.emulator.faults.scenario import load_scenario
from host_tools.emulator.report import JsonReport, Report, TextReport
from host_tools.errors import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a cloud.toml (default: one group, mylegacydevices, with generated keys)",
    )
    cloud_serve.add_ports(parser)
    _add_kept(parser)
    _add_met(parser)
    _add_shown(parser)
    cloud_commands.add_to(parser)


def _add_kept(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="keep keys, CA and registrations here (default: forget them at the end)",
    )
    parser.add_argument(
        "--keep-telemetry",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="with --state-dir: keep the last 10 000 messages there as well, each before it is"
        " acknowledged (default: %(default)s)",
    )
    parser.add_argument(
        "--ca-out",
        type=Path,
        metavar="FILE",
        help="write the CA certificate that clients must trust (default: ca.pem in the state dir)",
    )


def _add_met(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--advertise",
        default="",
        metavar="NAME",
        help="hand out NAME as the assigned hub instead of the configured one, so that a client"
        " that dials what it is assigned arrives here (for clients on this machine: localhost)",
    )
    parser.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="let things go wrong as a story in TOML tells (docs/scenarios.md)",
    )


def _add_shown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trace",
        action="store_true",
        help="print every packet of every connection as well, without secrets",
    )
    parser.add_argument("--show-keys", action="store_true", help="print the primary keys as well")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON lines on stdout, the first with all that a device needs to know",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, or do what a verb says."""
    if args.cloud_verb:
        return int(args.cloud_command(args))
    asyncio.run(_run(args))
    return 0


async def _run(args: argparse.Namespace) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, stop.set)
    failures: list[OSError] = []

    def failed(error: OSError) -> None:
        failures.append(error)
        with suppress(RuntimeError):  # at the end, when the loop is closed
            loop.call_soon_threadsafe(stop.set)

    config = load(args.config) if args.config else Config()
    with closing(JsonReport(failed) if args.json else TextReport(failed)) as report:
        await _serve(args, config, report, stop)
    # nobody reads any more: that is an end like any other
    if failures and not isinstance(failures[0], BrokenPipeError):
        raise CommandError(f"can not write to stdout: {failures[0].strerror}")


async def _serve(
    args: argparse.Namespace, config: Config, report: Report, stop: asyncio.Event
) -> None:
    open_files.allow_all()  # each device is one
    scenario = load_scenario(args.scenario) if args.scenario else None
    with Cloud(
        config,
        on_event=report.event,
        state_dir=args.state_dir,
        advertise=args.advertise,
        keep_telemetry=args.keep_telemetry and args.state_dir is not None,
    ) as cloud:
        ca = _write_ca(cloud, args.ca_out)
        if args.trace:
            cloud.traces.on = True
            cloud.traces.follow(report.trace)
        if scenario:
            scenario.play(cloud.faults, time.time())
        async with cloud_serve.serving(cloud, args, ca) as served:
            report.listening(served.facts(args.show_keys))
            garbage.search_rarely()
            await stop.wait()


def _write_ca(cloud: Cloud, path: Path | None) -> Path:
    if path is None:
        return cloud.ca_path.resolve()
    try:
        path.write_bytes(cloud.ca_pem)
    except OSError as error:
        raise CommandError(f"can not write {path}: {error.strerror}") from None
    return path.resolve()
