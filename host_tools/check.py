"""Scan a label at packing: may this board leave?

examples:
  keystead check 'KS1|sn-0007|0123456789abcdef|mill-7|5cc2' --ledger factory.db
  keystead check --ledger factory.db --batch mill-7

A board may leave if the ledger has it as good, the fingerprint of its key and its batch are those
on the label, and it has not passed before. Each scan is recorded in the ledger as `checked`, and
answered by a line: PACK, or STOP with the reason. Labels come as arguments or, as a scanner types
them, on stdin, a line each, up to Ctrl-D. Exit code 0: all may leave; 1: at least one may not.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from host_tools.errors import CommandError
from host_tools.labels.packing import Answer, Packing
from host_tools.ledger import add_arguments as add_ledger
from host_tools.ledger import opened

_LONGEST = 400  # characters of a line that are looked at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("label", nargs="*", help="what the scanner read; default: stdin")
    parser.add_argument("--batch", metavar="NAME", help="let boards of this batch pass only")
    parser.add_argument(
        "--again", action="store_true", help="let boards pass that passed before: repacking"
    )
    parser.add_argument("--json", action="store_true", help="answer by one JSON object a line")
    add_ledger(parser)


def run(args: argparse.Namespace) -> int:
    """Check label by label; return 0 if all may leave."""
    passed = stopped = 0
    with opened(args) as ledger:
        if args.batch:
            ledger.batch(args.batch)  # a wrong name is said before the first scan
        packing = Packing(ledger, args.batch, args.again)
        for answer in map(packing.check, _labels(args.label)):
            passed, stopped = passed + answer.passed, stopped + (not answer.passed)
            _say(answer, args.json)
    if not passed + stopped:
        raise CommandError("no label was scanned")
    if passed + stopped > 1 and not args.json:
        print(f"{passed} may leave, {stopped} may not", file=sys.stderr)
    return 1 if stopped else 0


def _labels(words: Iterable[str]) -> Iterator[str]:
    given = list(words)
    if given:
        yield from given
        return
    if sys.stdin is None:
        raise CommandError("stdin is closed: give the label as an argument")
    if sys.stdin.isatty():
        print("scan labels; Ctrl-D ends", file=sys.stderr)
    while line := sys.stdin.readline(_LONGEST):
        if line.strip():
            yield line


def _say(answer: Answer, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer.facts()), flush=True)
        return
    word, style = ("PACK", "bold green") if answer.passed else ("STOP", "bold red")
    line = Text(word, style).append(f"  {answer.text()}", "default not bold")
    Console(highlight=False, soft_wrap=True).print(line)
    if not answer.passed and sys.stdout.isatty():
        print("\a", end="", flush=True)
    sys.stdout.flush()
