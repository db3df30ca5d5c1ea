"""NVS partitions: made of CSVs, encrypted, looked into, and checked for MicroPython.

  keystead nvs make config.csv values.csv --prefix pump --output line
  keystead nvs make entries.csv --output nvs.bin
  keystead nvs show nvs.bin
  keystead nvs lint config.csv

The CSVs are those of Espressif's mfg_gen.py (config and values, a partition for each row) and of
esp-idf-nvs-partition-gen (entries, one partition), and so are the bytes. All rows are checked
before anything is written; nothing but the partitions is, each readable by you alone.

With --encrypt each partition is encrypted with a key of its own, from the operating system's
source of chance; with --hmac-key-file with the key that the chip derives of its eFuse block. Stock
MicroPython reads neither.
"""

import argparse
import sys
from collections.abc import Iterable, Sized
from pathlib import Path

from rich.console import Console
from rich.progress import track

from host_tools import nvs_files, nvs_shown
from host_tools.batch import BadRows, mfg_gen
from host_tools.errors import CommandError
from host_tools.nvs import Entry, entries_csv, lint, partition
from host_tools.nvs.writer import READ_WRITE, check_size
from host_tools.nvs_files import Sealing

_SIZE = 0x6000  # as stock MicroPython's partition table has it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(dest="nvs_verb", metavar="VERB", required=True)
    make = verbs.add_parser("make", help="make partitions of CSVs", description=_MAKE)
    _make_arguments(make)
    make.set_defaults(act=_make)
    show = verbs.add_parser("show", help="tell what a partition holds", description=_SHOW)
    nvs_shown.add_arguments(show)
    show.set_defaults(act=nvs_shown.run)
    check = verbs.add_parser("lint", help="tell what MicroPython can not read", description=_LINT)
    check.add_argument("csv", type=Path, metavar="CSV", help="mfg_gen's config, or entries")
    check.set_defaults(act=_lint)


_MAKE = """Make a partition for each row of VALUES, as CONFIG says, in DIR/bin/PREFIX-1.bin and so
on; or one of a CSV of entries (key,type,encoding,value) in FILE. Output that is there already is
refused."""
_SHOW = """Tell namespaces, keys, types and sizes of a partition, and whose a factory record is.
Damage is told with its offset; exit code 1 then."""
_LINT = "Tell what MicroPython's esp32.NVS can not read. Exit code 1 if there is anything."


def run(args: argparse.Namespace) -> int:
    """Make, show or lint; return the exit code."""
    try:
        code: int | None = args.act(args)
    except BadRows as bad:
        return _tell(bad)
    return code or 0


def _make_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("csv", type=Path, metavar="CSV", help="mfg_gen's config, or entries")
    add("values", type=Path, metavar="VALUES", nargs="?", help="mfg_gen's values")
    add("--output", type=Path, required=True, metavar="PLACE",
        help="a new folder for a partition each, a new file for one")  # fmt: skip
    add("--size", type=_size, default=_SIZE, metavar="BYTES",
        help="of a partition; default: 0x6000, as stock images have it")  # fmt: skip
    add("--prefix", default="nvs", metavar="NAME", help="how files' names begin; default: nvs")
    add("--fileid", metavar="COLUMN", help="of VALUES: what their names end with, not 1, 2, 3...")
    sealing = parser.add_mutually_exclusive_group()
    add = sealing.add_argument
    add("--encrypt", action="store_true",
        help="with a new key each, written beside as an nvs_keys partition")  # fmt: skip
    add("--key-file", type=Path, metavar="FILE", help="encrypt all with this nvs_keys partition")
    add("--hmac-key-file", type=Path, metavar="FILE",
        help="encrypt with the key derived of this eFuse key, 32 bytes")  # fmt: skip


def _size(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes") from None


def _make(args: argparse.Namespace) -> None:
    check_size(args.size)
    sealing = nvs_files.sealing(args.encrypt, args.key_file, args.hmac_key_file)
    if args.values is None:
        _make_one(args, sealing)
    else:
        _make_each(args, sealing)


def _make_one(args: argparse.Namespace, sealing: Sealing | None) -> None:
    if args.fileid is not None:
        raise CommandError("--fileid is a column of VALUES: name that file too, after its config")
    if not entries_csv.is_entries(args.csv):
        raise CommandError(
            f"{args.csv} does not begin with key,type,encoding,value; if it is mfg_gen's config, "
            "name the file of VALUES too"
        )
    entries = entries_csv.read_entries(args.csv)
    image = partition(entries, args.size)
    beside = nvs_files.write_one(args.output, image, sealing)
    _warn(lint(entries), args.size, sealing)
    print(f"{args.output}: {_keys(entries)}, {len(image)} bytes{_how(sealing, beside)}")


def _make_each(args: argparse.Namespace, sealing: Sealing | None) -> None:
    if entries_csv.is_entries(args.csv):
        raise CommandError(f"{args.csv} has values of its own: it takes no file of VALUES")
    columns = mfg_gen.read_config(args.csv)
    devices = mfg_gen.read_values(args.values, columns, args.size)
    names = nvs_files.names(devices, args.prefix, args.fileid, args.values)
    images = (partition(device.entries, args.size) for device in _watched(devices))
    beside = nvs_files.write_each(args.output, names, images, sealing)
    _warn(mfg_gen.unreadable(columns), args.size, sealing)
    count = "1 partition" if len(devices) == 1 else f"{len(devices)} partitions"
    print(f"{args.output}: {count} of {args.size} bytes in bin{_how(sealing, beside)}")


def _watched(devices: list[mfg_gen.Device]) -> Iterable[mfg_gen.Device]:
    console = Console(stderr=True)
    if not console.is_terminal:
        return devices
    return track(devices, "writing", console=console, transient=True)


def _keys(entries: Sized) -> str:
    return "1 key" if len(entries) == 1 else f"{len(entries)} keys"


def _how(sealing: Sealing | None, beside: str) -> str:
    if sealing is None:
        return ""
    return f", encrypted; whoever has {beside} can read them" if beside else ", encrypted"


def _warn(lines: list[str], size: int, sealing: Sealing | None) -> None:
    if size < READ_WRITE:
        lines.append(f"less than {READ_WRITE:#x} bytes can not be written to; esp32.NVS fails")
    if sealing is not None:
        lines.append("stock MicroPython reads no encrypted NVS: docs/security.md")
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def _lint(args: argparse.Namespace) -> int:
    if entries_csv.is_entries(args.csv):
        rows = entries_csv.read_rows(args.csv)
        found = lint(Entry(row.namespace, row.key, row.encoding, "") for row in rows)
        keys = _keys(rows)
    else:
        columns = mfg_gen.read_config(args.csv)
        found, keys = mfg_gen.unreadable(columns), _keys(columns)
    for line in found:
        print(line)
    if not found:
        print(f"{args.csv}: MicroPython can read all of it ({keys})")
    return 1 if found else 0


def _tell(bad: BadRows) -> int:
    for row in bad.rows:
        print(f"{bad.where}:{row.line}: {row.problem}", file=sys.stderr)
    number = "1 bad row" if len(bad.rows) == 1 else f"{len(bad.rows)} bad rows"
    print(f"keystead nvs: {number}, so nothing was written: mend and try again", file=sys.stderr)
    return 1
