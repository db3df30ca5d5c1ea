"""Whose board it is, as commands are told it: arguments and keys in, a factory record out."""

import argparse
import re

from host_tools import device_keys, key_sources, keys
from host_tools.derive_key import add_rule
from host_tools.errors import CommandError
from host_tools.key_sources import shield
from keystead.failure import Failure
from keystead.record import ENDPOINT, FactoryRecord
from keystead.registration_id import TEMPLATE, check, parse_mac, render

_ENDPOINT = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]{0,250}[0-9A-Za-z])?(:[0-9]{1,5})?")
DEVICE_KEY = "KEYSTEAD_DEVICE_KEY"


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Declare what makes a factory record; required: whether ID scope and MAC must be there."""
    parser.add_argument(
        "--id-scope", required=required, help="of the DPS instance, e.g. 0ne00002193"
    )
    parser.add_argument("--mac", required=required, help="of the board, e.g. a1:b2:c3:d4:e5:f6")
    parser.add_argument("--serial", help=f"registration ID is then made as {TEMPLATE}")
    parser.add_argument("--registration-id", help="instead of --serial")
    parser.add_argument("--endpoint", default=ENDPOINT, help=f"of DPS; default: {ENDPOINT}")
    key_sources.add_arguments(parser, secondary=True)
    parser.add_argument(
        "--individual",
        action="store_true",
        help=f"for an individual enrollment: take its own key from ${DEVICE_KEY}, derive nothing",
    )
    add_rule(parser)


def factory_record(args: argparse.Namespace) -> FactoryRecord:
    """Return the record that the arguments describe; CommandError says what is wrong."""
    check_place(args.id_scope, args.endpoint)
    try:
        mac = parse_mac(args.mac)
        name = registration_id(args, mac)
        return FactoryRecord(mac, args.id_scope, name, *_device_keys(args, name), args.endpoint)
    except (ValueError, Failure) as error:
        raise CommandError(str(error)) from None


def check_place(id_scope: str, endpoint: str) -> None:
    """Refuse what can be no DPS instance; CommandError."""
    if not re.fullmatch("[0-9A-Za-z]{1,32}", id_scope):
        raise CommandError(f"--id-scope {id_scope!r}: letters and digits, e.g. 0ne00002193")
    if not _ENDPOINT.fullmatch(endpoint):
        raise CommandError(f"--endpoint {endpoint!r}: write HOST or HOST:PORT")


def registration_id(args: argparse.Namespace, mac: bytes) -> str:
    """Return what a board with this MAC is called; ValueError or CommandError if it can not be."""
    wide = args.rule == "service"
    if args.registration_id is not None:
        return check(args.registration_id, wide)
    if args.serial is None:
        raise CommandError("give --serial or --registration-id")
    return render(TEMPLATE, args.serial, mac, wide)


def _device_keys(args: argparse.Namespace, name: str) -> tuple[bytes, bytes]:
    if args.individual:
        text = shield.take(DEVICE_KEY)
        if text is None:
            raise CommandError(f"--individual wants the enrollment's own key in {DEVICE_KEY}")
        return keys.decode_key(text, f"the device key in {DEVICE_KEY}"), b""
    with device_keys.opened(args) as source:
        return source.device_keys(name)
