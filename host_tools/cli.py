"""The `keystead` command: a table of verbs, and one place where errors become one line.

A verb is a module with a docstring (its help), add_arguments(parser) and run(args).
"""

import argparse
import importlib
import io
import os
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType

import keystead
from host_tools.errors import CommandError
from host_tools.printable import printable
from host_tools.signals import end_cleanly_on_sigterm

# verb -> (module under host_tools, one line of help); imported only when used or asked for help
VERBS = {
    "demo": ("demo", "the whole story on this machine: derive, boot, provision, telemetry"),
    "cloud": ("cloud", "run a DPS and an IoT Hub on the bench"),
    "boot": ("boot", "boot the real firmware under Unix MicroPython as one board"),
    "fleet": ("fleet_command", "boot a fleet of devices against a cloud, and time it"),
    "derive-key": ("derive_key", "derive device keys from an enrollment group's key"),
    "registration-id": ("registration_id", "make or check registration IDs"),
    "record": ("record", "make the factory record of one board"),
    "firmware": ("firmware", "compile the firmware for a board"),
    "batch": ("batch_command", "plan a batch of boards in the ledger"),
    "image": ("image", "build what is flashed: filesystem, NVS, one merged file"),
    "flash": ("flash_command", "flash, prove and record boards, many ports at once"),
    "nvs": ("nvs_command", "NVS partitions: make, read, encrypt; mfg_gen's CSVs too"),
    "retrofit": ("retrofit_command", "install Keystead on a board that runs MicroPython already"),
    "ledger": ("ledger_command", "the factory's ledger: list, show, export, verify, reconcile"),
    "label": ("label", "labels of boards: a sheet, a PDF, ZPL"),
    "check": ("check", "scan a label at packing: may this board leave?"),
    "report": ("report", "a batch on one page: counts, failures, time per step"),
    "board": ("board", "a virtual board that esptool and mpremote take for a real one"),
}

_EXIT = """exit codes: 0 done, 1 it can not be done (one line on stderr says why), 2 wrong usage,
130 interrupted. `keystead VERB --help` explains a verb."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    end_cleanly_on_sigterm()
    _prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _refuse_bytes(words)
        parser, verb = _parser(words)
    except CommandError as error:
        print(f"keystead: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # while it loads
        return 130
    args = parser.parse_args(words)
    if verb is None:
        parser.print_help()
        return 2
    return _run(verb, args)


def _run(verb: ModuleType, args: argparse.Namespace) -> int:
    """Run a verb; what ends it is one line and an exit code."""
    try:
        code = verb.run(args) or 0
        sys.stdout.flush()
        return int(code)
    except CommandError as error:
        print(f"keystead {args.verb}: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `keystead ... | head`: the reader has enough
        _silence()
        return 1
    except OSError as error:  # e.g. the output's disk is full
        where = f"{error.filename}: " if error.filename else ""
        print(f"keystead {args.verb}: {where}{error.strerror or error}", file=sys.stderr)
        _flush()
        return 1


def _prepare_streams() -> None:
    """Have standard streams that stand any text, and outputs also where somebody closed them."""
    # their numbers are taken, too: else the next file that is opened would be the output
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refuse_bytes(words: Sequence[str]) -> None:
    """Raise CommandError for a word that is not UTF-8: no name, ledger or message can hold it."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise CommandError(
                f"{os.fsencode(word)!r} is not UTF-8: write it, or name the file, in UTF-8"
            ) from None


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _silence()


def _silence() -> None:
    # what is still in the buffer must not fail again when the interpreter flushes it
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser(words: Sequence[str]) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    parser = argparse.ArgumentParser(
        prog="keystead",
        description="Legacy hardware on Azure IoT, from an enrollment group's key to telemetry.",
        epilog=_EXIT,
    )
    parser.add_argument("--version", action="version", version=keystead.__version__)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    wanted = next((word for word in words if not word.startswith("-")), None)
    module = None
    for name, (file, line) in VERBS.items():
        if name == wanted:
            module = importlib.import_module(f"host_tools.{file}")
            module.add_arguments(_subparser(verbs, name, line, module.__doc__ or ""))
        else:
            verbs.add_parser(name, help=line, add_help=False)
    return parser, module


def _subparser(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, line: str, doc: str
) -> argparse.ArgumentParser:
    return verbs.add_parser(
        name,
        help=line,
        description=doc,
        formatter_class=_Help,
    )


class _Help(argparse.HelpFormatter):
    """Folds a docstring's paragraphs to the terminal, and leaves its indented examples alone."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(self._paragraph(part, width) for part in text.strip().split("\n\n"))

    @staticmethod
    def _paragraph(text: str, width: int) -> str:
        example = any(line.startswith(" ") for line in text.splitlines())
        return text if example else textwrap.fill(" ".join(text.split()), width)
