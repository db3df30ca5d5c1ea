"""Derive device keys from an enrollment group's key.

  export KEYSTEAD_GROUP_KEY=...
  keystead derive-key sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6
  keystead derive-key --group-key-file group.key < ids.txt > keys.tsv

Prints one line for each registration ID: the ID, a tab, the device key. IDs come from the command
line or, where there are none, from stdin, one a line. The group key comes from the environment
variable KEYSTEAD_GROUP_KEY, from a file, or from a prompt; never from the command line, where
every user of the machine could read it. If one ID is wrong, no key is printed.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from host_tools import keys
from host_tools.errors import CommandError
from keystead.registration_id import InvalidRegistrationID, check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("registration_id", nargs="*", help="default: read them from stdin")
    add_group_key(parser)
    add_rule(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def add_group_key(parser: argparse.ArgumentParser) -> None:
    """Declare where the group key comes from."""
    parser.add_argument(
        "--group-key-file",
        type=Path,
        metavar="FILE",
        help=f"file with the group key in Base64; default: ${keys.VARIABLE}, then a prompt",
    )


def add_rule(parser: argparse.ArgumentParser) -> None:
    """Declare which registration IDs are allowed."""
    parser.add_argument(
        "--rule",
        choices=("seed", "service"),
        default="seed",
        help="seed: a-z, 0-9 and -, as in the provisioning article and safe everywhere (default); "
        "service: all that DPS takes today, with capitals, dots, underscores and colons",
    )


def run(args: argparse.Namespace) -> None:
    """Check every ID, then derive and print."""
    group_key = keys.group_key(args.group_key_file)
    names = checked(args.registration_id or _stdin(), args.rule == "service")
    for name in names:
        key = keys.encode_key(keys.derive_device_key(group_key, name))
        record = {"registrationId": name, "deviceKey": key}
        print(json.dumps(record) if args.json else f"{name}\t{key}")


def checked(names: Iterable[str], wide: bool) -> list[str]:
    """Return the registration IDs if all are right; else tell the first fault and how many."""
    good: list[str] = []
    faults: list[str] = []
    for number, name in enumerate(names, 1):
        try:
            good.append(check(name, wide))
        except InvalidRegistrationID as error:
            faults.append(f"ID {number}: {error}")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise CommandError(faults[0] + more)
    return good


def _stdin() -> Iterable[str]:
    if sys.stdin is None:
        raise CommandError("no registration IDs: give them as arguments, or on stdin")
    if sys.stdin.isatty():
        print("registration IDs, one a line; end with Ctrl-D:", file=sys.stderr)
    return (line.rstrip("\r\n") for line in sys.stdin)
