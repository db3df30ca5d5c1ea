"""Measure what Keystead costs, beside the stock umqtt.simple and the best published figures.

  make bench
  .venv/bin/python -m bench wire publishing
  .venv/bin/python -m bench --json > figures.json

Takes about five minutes on two cores. A bar that is not met is said so and fails nothing. How
each figure is measured: docs/bench.md.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import table
from bench.figures import Row, Unmeasured
from bench.workshop import Workshop
from host_tools.errors import CommandError

# each is a module here with TITLE and rows(workshop)
SECTIONS = (
    "sizes",
    "heap",
    "tokens",
    "publishing",
    "wire",
    "journal",
    "emulator",
    "scale",
    "derive",
    "nvs",
    "ledger",
    "batch",
    "flash",
)


def main(words: Sequence[str] | None = None) -> int:
    """Measure the sections asked for; return the exit code."""
    args = _arguments(words)
    facts = table.machine()
    try:
        sections = _measure([name for name in SECTIONS if name in (args.section or SECTIONS)])
    except CommandError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if args.json:
        print(json.dumps(table.as_json(sections, facts), indent=1))
    else:
        table.show(Console(highlight=False), sections, facts)
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("section", nargs="*", help="of: " + ", ".join(SECTIONS) + "; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(words)
    unknown = sorted(set(args.section) - set(SECTIONS))
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}: choose of {', '.join(SECTIONS)}")
    return args


def _measure(names: Sequence[str]) -> dict[str, Sequence[Row] | str]:
    sections: dict[str, Sequence[Row] | str] = {}
    with tempfile.TemporaryDirectory(prefix="keystead-bench-") as folder:
        console = Console(stderr=True, highlight=False)
        with console.status("compiling the firmware"):
            workshop = Workshop(Path(folder))
        for number, name in enumerate(names, 1):
            module = importlib.import_module(f"bench.{name}")
            begun = time.monotonic()
            with console.status(f"{number}/{len(names)}  measuring: {module.TITLE}"):
                try:
                    sections[module.TITLE] = module.rows(workshop)
                except Unmeasured as why:
                    sections[module.TITLE] = str(why)
            seconds = time.monotonic() - begun
            console.print(f"{number}/{len(names)}  {module.TITLE}: {seconds:.0f} s")
    return sections


if __name__ == "__main__":
    sys.exit(main())
