"""Cloud fault: rules by which a running cloud goes wrong, from the command line.

Owns the options of `keystead cloud fault ...`. Doesn't own the words (emulator/faults) nor how a
running cloud is reached (cloud_client.py).
"""

import argparse
import json
from pathlib import Path
from typing import Any

from host_tools import cloud_client
from host_tools.cloud_client import CloudClient
from host_tools.emulator.faults import words

HELP = "let things go wrong: add, list and remove rules"
_PATH = "/keystead/faults"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = parser.add_subparsers(dest="fault_verb", metavar="VERB", required=True)
    add = _remote(verbs, "add", "put a rule into force", _add)
    add.add_argument(
        "sentence",
        metavar="SENTENCE",
        nargs="?",
        default="",
        help='e.g. "the 3rd board, when it registers, gets 429, twice"',
    )
    for key in ("who", "when", "gets"):
        add.add_argument(f"--{key}", metavar="PHRASE", help="see: keystead cloud fault words")
    for key in ("times", "skip"):
        add.add_argument(f"--{key}", type=int, metavar="N", help="for each board")
    _remote(verbs, "list", "print the rules, and how often each struck", _list)
    remove = _remote(verbs, "remove", "take one rule back", _remove)
    remove.add_argument("id", type=int, metavar="ID", help="as `list` prints it")
    _remote(verbs, "clear", "take all rules back", _clear)
    here = verbs.add_parser("words", help="print every phrase there is")
    here.set_defaults(fault_command=_words)
    check = verbs.add_parser("check", help="read a scenario file as the cloud would")
    check.add_argument("file", type=Path, metavar="FILE", help="a scenario, in TOML")
    check.set_defaults(fault_command=_check)


def _remote(verbs: Any, name: str, line: str, work: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=line, description=line)
    cloud_client.add_arguments(parser)
    parser.set_defaults(fault_command=work)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    return int(args.fault_command(args))


def _add(args: argparse.Namespace) -> int:
    rule = words.rule_of(args.sentence, vars(args))

    async def work(cloud: CloudClient) -> int:
        added = await cloud.ask("POST", _PATH, json=rule.as_json())
        as_json = getattr(args, "json", False)
        print(json.dumps(added) if as_json else f"{added['id']}  {rule.sentence}")
        return 0

    return cloud_client.run(args, work)


def _list(args: argparse.Namespace) -> int:
    async def work(cloud: CloudClient) -> int:
        faults = await cloud.ask("GET", _PATH)
        if getattr(args, "json", False):
            print(json.dumps(faults))
        else:
            print(*words.listed(faults), sep="\n")
        return 0

    return cloud_client.run(args, work)


def _remove(args: argparse.Namespace) -> int:
    return _delete(args, f"{_PATH}/{args.id}")


def _clear(args: argparse.Namespace) -> int:
    return _delete(args, _PATH)


def _delete(args: argparse.Namespace, path: str) -> int:
    async def work(cloud: CloudClient) -> int:
        await cloud.ask("DELETE", path)
        return 0

    return cloud_client.run(args, work)


def _words(args: argparse.Namespace) -> int:
    print(*words.vocabulary(), sep="\n")
    return 0


def _check(args: argparse.Namespace) -> int:
    print(*words.told(args.file), sep="\n")
    return 0
