"""A batch on one page: how many are good, what failed and why, how long each step took.

examples:
  keystead report mill-7 --ledger factory.db --output mill-7.html
  keystead report mill-7 --ledger factory.db --json

The page is one HTML file without scripts that needs nothing else, for a screen (light or dark)
and for paper. The ledger's chain is verified on the way and its head is printed: whoever keeps the
page can show later that nothing was changed. There is no key in it, nor a key's fingerprint.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from host_tools import whole_file
from host_tools.batch_report.counting import gather
from host_tools.batch_report.figures import Figures, as_json
from host_tools.batch_report.page import render
from host_tools.ledger import Ledger, opened
from host_tools.ledger import add_arguments as add_ledger
from host_tools.printable import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("batch", help="its name")
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--output", metavar="FILE", help="the HTML page; - for stdout")
    output.add_argument("--json", action="store_true", help="print the numbers instead")
    add_ledger(parser, writes=False)


def run(args: argparse.Namespace) -> None:
    """Write the page, or print the numbers."""
    with opened(args) as ledger:
        figures = _figures(ledger, args.batch)
    if args.json:
        print(json.dumps(as_json(figures)))
        return
    page = render(figures, datetime.now(UTC))
    if args.output == "-":
        sys.stdout.write(page)
        return
    whole_file.write(Path(args.output), page.encode())
    good = figures.states["good"]
    print(f"{args.output}: batch {args.batch}, {good} of {counted(figures.units, 'board')} good")


def _figures(ledger: Ledger, batch: str) -> Figures:
    ledger.batch(batch)  # a wrong name is said at once
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        total = int(ledger.head().partition(":")[0])
        verified = progress.add_task("verifying the ledger", total=total)
        counted = progress.add_task("counting", total=total)
        ledger.verify(progress=lambda number: progress.update(verified, completed=number))
        return gather(ledger, batch, lambda number: progress.update(counted, completed=number))
