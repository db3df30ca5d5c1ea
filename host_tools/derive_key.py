"""Derive device keys from an enrollment group's key.

  export KEYSTEAD_GROUP_KEY=...
  keystead derive-key sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6
  keystead derive-key --key-source file:group.key < ids.txt > keys.tsv
  keystead derive-key --key-source 'pkcs11:token=factory;object=dps-group' \\
      --csv --output keys.csv < ids.txt

Prints one line for each registration ID: the ID, a tab, the device key. IDs come from the command
line or, where there are none, from stdin, one a line, as many as you like. The group key is never
taken from the command line, where every user of the machine could read it: --key-source says
where it is. If one ID is wrong, no key is derived.
"""

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import Progress

from host_tools import derive_many, id_list, key_sources, private_file
from host_tools.derive_many import FORMS
from host_tools.errors import CommandError

_HEAD = {"csv": b"registration_id,device_key\n"}
_IN_MEMORY = 1 << 24  # bytes of IDs from a pipe that are not put into a temporary file
_SHOWN = 1_000_000  # IDs: fewer take no two seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("registration_id", nargs="*", help="default: read them from stdin")
    key_sources.add_arguments(parser)
    add_rule(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV with a head")
    form.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write them here, readable by you alone"
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
    wide = args.rule == "service"
    form = "csv" if args.csv else "json" if args.json else "tsv"
    with key_sources.from_arguments(args) as source, _ids(args.registration_id, wide) as ids:
        count = id_list.count(ids, wide)
        ids.seek(0)
        processes = derive_many.cores() if count >= derive_many.WORTHWHILE else 1
        texts = derive_many.texts(source, id_list.blocks(ids), FORMS[form], processes)
        with _output(args.output) as write:
            write(_HEAD.get(form, b""))
            for text in _watched(texts, count):
                write(text)
    if args.output:
        print(f"{args.output}: {count} device keys")


@contextmanager
def _ids(words: list[str], wide: bool) -> Iterator[BinaryIO]:
    """Lend the list of IDs, from its beginning, to be read twice."""
    if words:
        yield io.BytesIO("\n".join(id_list.checked(words, wide)).encode())
        return
    stdin = _stdin()
    if stdin.seekable() and stdin.tell() == 0:
        yield stdin
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:  # IDs are no secret
        shutil.copyfileobj(stdin, copy)
        copy.seek(0)
        yield copy  # type: ignore[misc]


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise CommandError("no registration IDs: give them as arguments, or on stdin")
    if sys.stdin.isatty():
        print("registration IDs, one a line; end with Ctrl-D:", file=sys.stderr)
    return sys.stdin.buffer


@contextmanager
def _output(file: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Lend what writes: to stdout, or to a new file that goes away if not all is written."""
    if file is None:
        yield lambda text: print(text.decode(), end="")  # stdout may be None
        return
    with private_file.created(file) as output:
        yield output.write


def _watched(texts: Iterator[bytes], count: int) -> Iterator[bytes]:
    console = Console(stderr=True)
    if count >= _SHOWN and console.is_terminal:
        yield next(texts)  # its processes are started before the progress has a thread
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("deriving", total=count)
            for text in texts:
                progress.advance(task, text.count(b"\n"))
                yield text
    yield from texts
