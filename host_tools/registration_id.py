"""Make the registration ID of a board from its serial number and MAC, or check IDs.

  keystead registration-id --serial 007-888-abc --mac a1:b2:c3:d4:e5:f6
  keystead registration-id --check sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6

An ID has at most 128 characters. By default it may hold a-z, 0-9 and dashes and begins and ends
with a letter or digit; --rule service allows all that DPS takes today.
"""

import argparse
import json

from host_tools.derive_key import add_rule
from host_tools.errors import CommandError
from host_tools.id_list import checked
from keystead.registration_id import TEMPLATE, parse_mac, render


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--serial", help="the machine's serial number, as the template wants it")
    parser.add_argument("--mac", help="six bytes in hex, with : or - or nothing between them")
    parser.add_argument("--template", default=TEMPLATE, help=f"default: {TEMPLATE}")
    parser.add_argument("--check", nargs="+", metavar="ID", help="check these IDs instead")
    add_rule(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> None:
    """Print each ID that is right, or say what is wrong with it."""
    wide = args.rule == "service"
    names = checked(args.check, wide) if args.check else [_made(args, wide)]
    for name in names:
        print(json.dumps({"registrationId": name}) if args.json else name)


def _made(args: argparse.Namespace, wide: bool) -> str:
    for part in ("serial", "mac"):
        if "{" + part + "}" in args.template and getattr(args, part) is None:
            raise CommandError(f"the template wants a {part}: give --{part}")
    try:
        mac = parse_mac(args.mac) if args.mac is not None else b""
        return render(args.template, args.serial or "", mac, wide)
    except ValueError as error:
        raise CommandError(str(error)) from None
