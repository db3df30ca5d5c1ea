"""Soak the firmware: a month of its time in minutes of ours, and all that goes wrong in one.

    python -m tests.soak                         30 days, seed 1, the 32-bit build
    python -m tests.soak --days 2 --seed 7 -v    every line of the console and of the cloud
    python -m tests.soak --seed 7 --script       what would happen, and nothing else

The same seed gives the same soak, line by line. The exit code is 1 if anything was found.
"""

import argparse
import sys

from host_tools.virtual_board.unix_board import chip_folder
from tests.soak import report, script
from tests.soak.soak import Soak


def main() -> int:
    """Run one soak; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bits", type=int, choices=(32, 64), default=32)
    parser.add_argument("--heap", default="", help="of the board, e.g. 68k, as a chip's")
    parser.add_argument("--calm", action="store_true", help="nothing goes wrong")
    parser.add_argument("--script", action="store_true", help="print the script and stop")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell the whole story")
    args = parser.parse_args()
    incidents = [] if args.calm else script.draw(args.seed, args.days)
    print(script.text(incidents))
    if args.script:
        return 0
    with chip_folder() as folder:
        story = report.Story(sys.stdout if args.verbose else None)
        soak = Soak(folder, incidents, args.days, args.seed, args.bits, args.heap, say=story.tell)
        try:
            oracle = soak.run()
        except BaseException:
            print(story.end(), file=sys.stderr)
            raise
    print(report.text(soak, args))
    return 1 if oracle.findings else 0


if __name__ == "__main__":
    sys.exit(main())
