"""Install Keystead on a board that runs MicroPython already; the MicroPython stays.

  keystead retrofit --port /dev/ttyUSB0 --ledger ledger.db --batch field \\
      --config config.json

Everything goes over the board's REPL: a serial port, rfc2217://HOST:PORT or socket://HOST:PORT.
The board's files are backed up first. The firmware is copied beside them and checked; then the
files are exchanged, the factory record goes into NVS, all is read back, the board boots and signs
a nonce with its key. Only then the retrofit stays. If anything fails, files and record are put
back as they were; if the board was unplugged, the next run finds its marker and does so first.

A main.py or boot.py that the board had is kept in its folder /before-keystead. An app.py and a
config.json of an earlier Keystead stay, unless --app or --config give others.

Without a ledger, for one board:

  keystead retrofit --port /dev/ttyUSB0 \\
      --id-scope 0ne00002193 --serial 007-888-abc

Exit codes: 0 the board is good, 1 it is not and why, 2 wrong usage, 130 interrupted. The guide:
docs/retrofit.md.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

import keystead
from host_tools import boards, device_keys, identity, key_sources, keys, ledger
from host_tools.errors import CommandError
from host_tools.flash import arguments
from host_tools.flash.arguments import warn_of_spread
from host_tools.flash.roles import Keys
from host_tools.images import board_files
from host_tools.key_sources import shield
from host_tools.retrofit import backup, telling
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.meeting import Meeting
from host_tools.retrofit.order import Order, Owner
from host_tools.retrofit.owner import ArgumentOwner, LedgerOwner, OwnKey, board_for
from host_tools.retrofit.port import Port
from host_tools.retrofit.steps import Retrofit
from host_tools.serial_line import port_argument
from host_tools.toolchain import micropython
from keystead.registration_id import parse_mac


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add = parser.add_argument
    add(
        "--port",
        type=port_argument,
        required=True,
        metavar="URL",
        help="a device, rfc2217:// or socket://HOST:PORT",
    )
    ledger.add_arguments(parser)
    add("--batch", metavar="NAME", help="a batch of the ledger: `keystead batch`")
    add("--board", metavar="NAME", help="without a batch: a folder of boards/, for the LED's pin")
    identity.add_arguments(parser, required=False)
    board_files.add_arguments(parser)
    add(
        "--backup",
        type=Path,
        metavar="PLACE",
        default=Path(backup.DEFAULT),
        help="a folder, or a .tar, that is made; {mac} is the board's (default: %(default)s)",
    )
    arguments.add_register(parser)
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--keep", action="store_true", help="a board with an identity keeps it")
    other.add_argument(
        "--replace-identity", action="store_true", help="give it another identity, or key"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--dry-run", action="store_true", help="change nothing, say what would be"
    )
    instead.add_argument(
        "--roll-back", action="store_true", help="only undo what an interrupted retrofit left"
    )
    add("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> None:
    """Retrofit one board."""
    shield.forbid_core_dumps()
    with ExitStack() as stack:
        owner = stack.enter_context(_owner(args))
        order = _order(args, owner)  # all is looked at before a board is stopped
        told = stack.enter_context(telling.shown(args.json))
        port = stack.enter_context(Port(args.port))
        retrofit = Retrofit(Meeting(port, order, owner, told))
        if args.roll_back:
            text = "put back" if retrofit.roll_back() else "there was nothing to put back"
            _say(args, f'{{"result": "{text}"}}' if args.json else text)
            return
        result = retrofit.preview() if args.dry_run else retrofit.run()
    _say(args, (telling.document if args.json else telling.said)(result, not args.dry_run))


def _say(args: argparse.Namespace, text: str) -> None:
    Console(
        highlight=False, soft_wrap=args.json or not (sys.stdout and sys.stdout.isatty())
    ).print(text, markup=False)


@contextmanager
def _owner(args: argparse.Namespace) -> Iterator[Owner]:
    if args.batch is None:
        with ExitStack() as stack:
            yield _single(args, stack)
        return
    given = ("id_scope", "serial", "registration_id", "board", "individual")
    if wrong := [name for name in given if getattr(args, name)]:
        raise CommandError(f"--{wrong[0].replace('_', '-')} is the batch's: leave it out")
    with ledger.opened(args) as book, ExitStack() as stack:
        batch = book.batch(args.batch)
        source = _keys(args, stack)
        yield LedgerOwner(
            book, batch, source, args.keep, keystead.__version__, args.replace_identity, args.port
        )


def _single(args: argparse.Namespace, stack: ExitStack) -> ArgumentOwner:
    if not args.roll_back:
        if args.id_scope is None:
            raise CommandError(
                "give --ledger and --batch, or for one board --id-scope and --serial"
            )
        if args.serial is None and args.registration_id is None and not args.keep:
            raise CommandError("give --serial or --registration-id")
        identity.check_place(args.id_scope, args.endpoint)
        _check_name(args)
    return ArgumentOwner(args, _keys(args, stack), args.keep)


def _check_name(args: argparse.Namespace) -> None:
    """Refuse what could be no board's name, whatever MAC the one on the port has."""
    try:
        mac = parse_mac(args.mac) if args.mac else bytes(6)
        if args.serial is not None or args.registration_id is not None:
            identity.registration_id(args, mac)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _keys(args: argparse.Namespace, stack: ExitStack) -> Keys | None:
    """Open what has the keys before any child is started, and leave none in the environment."""
    own = shield.take(identity.DEVICE_KEY)
    try:
        if args.dry_run or args.roll_back:
            return None
        if args.individual:
            return _own_key(own)
        return stack.enter_context(device_keys.opened(args))
    finally:
        key_sources.forget(args)


def _own_key(text: str | None) -> OwnKey:
    if text is None:
        raise CommandError(f"--individual wants the enrollment's own key in {identity.DEVICE_KEY}")
    return OwnKey(keys.decode_key(text, f"the device key in {identity.DEVICE_KEY}"))


def _order(args: argparse.Namespace, owner: Owner) -> Order:
    board = owner.batch.board if isinstance(owner, LedgerOwner) else args.board
    if board:
        boards.get(board)
    given = board_files.given(args.config, args.app, args.ca)
    spread = board_files.spread(given.own)
    if not args.roll_back:
        micropython.mpy_cross()
        backup.check(args.backup)
        warn_of_spread(args.register, spread)

    def content(facts: BoardFacts) -> Mapping[str, bytes]:
        return given.content(board_for(facts, board), not facts.has_umqtt)

    return Order(
        content, tuple(given.own), args.backup, keystead.__version__, args.replace_identity,
        args.keep, args.register, spread,
    )  # fmt: skip
