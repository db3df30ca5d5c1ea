"""Put virtual boards on the bench: what esptool, espefuse and mpremote take for real ones.

  keystead board --rfc2217 127.0.0.1:4001
  esptool --port rfc2217://127.0.0.1:4001 write-flash 0 image.bin
  mpremote connect rfc2217://127.0.0.1:4001

With --micropython a blank board runs MicroPython, as if it had been bought with it. rfc2217 has
reset and boot lines; --socket and --pty have none: start them with --download for esptool's
--before no-reset, or press buttons here, a line each: reset, boot (reset with BOOT held), off, on,
and the number of a board behind it. Everything a board says appears with --console.

  keystead board --count 8 --fault "board 3: power cut at byte 123456"

has eight boards on ports 4001 to 4008, one of which loses its power while it is flashed. Ends with
Ctrl-C, or when stdin is a pipe that ends.
"""

import argparse
import json
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from host_tools import signals
from host_tools.errors import CommandError
from host_tools.toolchain import micropython
from host_tools.virtual_board import buttons, faults, models
from host_tools.virtual_board.board_setting import Address, BoardSetting
from host_tools.virtual_board.efuses import Efuses
from host_tools.virtual_board.farm import VirtualBoard, powered
from host_tools.virtual_board.faults import Fault
from keystead.registration_id import parse_mac

_PORT = 4001
_LAST_PORT = 65535
_MOST = 200  # boards


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    _add_lines(parser)
    parser.add_argument(
        "--chip", choices=models.MODELS, default="esp32c3", help="default: %(default)s"
    )
    parser.add_argument(
        "--mac", type=_mac, help="of the first board, the next ones count up; default: that of"
        " --flash, else a0:b1:c2:d3:e4:f5",
    )  # fmt: skip
    parser.add_argument(
        "--flash", type=Path, metavar="FILE", help="keep the flash here, the eFuses beside it, as"
        " FILE.efuses; with --count FILE.1, FILE.2, ...; default: in memory",
    )  # fmt: skip
    parser.add_argument(
        "--flash-size", choices=faults.SIZES, default="4MB", help="default: %(default)s"
    )
    parser.add_argument("--count", type=_count, default=1, metavar="N", help="so many boards")
    parser.add_argument(
        "--micropython", action="store_true", help="a blank flash gets MicroPython first"
    )
    parser.add_argument("--download", action="store_true", help="power on with BOOT held")
    parser.add_argument(
        "--paced", action="store_true", help="bytes take the time they take at a real baud rate"
    )
    parser.add_argument(
        "--fault", action="append", default=[], type=_fault, metavar="TEXT",
        help=f"what goes wrong, more than once: {'; '.join(faults.FORMS)}; \", every time\" behind"
        ' it, "board K: " before it',
    )  # fmt: skip
    parser.add_argument(
        "--cloud", type=_address, metavar="HOST:PORT",
        help="where every host name leads that a program asks for: a `keystead cloud`",
    )  # fmt: skip
    parser.add_argument("--console", action="store_true", help="print what the boards say")
    parser.add_argument("--json", action="store_true", help="print ports as one JSON line a board")


def _add_lines(parser: argparse.ArgumentParser) -> None:
    for option, what in (
        ("rfc2217", "with reset and boot lines"),
        ("socket", "plain TCP, no lines"),
    ):
        parser.add_argument(
            f"--{option}", type=_address, metavar="HOST:PORT",
            help=f"listen here, {what}; port 0 for a free one, more boards on the ports after it",
        )  # fmt: skip
    parser.add_argument("--pty", action="store_true", help="be a terminal of this machine, too")


def run(args: argparse.Namespace) -> int | None:
    """Power the boards until told to stop."""
    settings = [_setting(args, number) for number in range(1, args.count + 1)]
    strangers = [chosen.board for chosen in args.fault if (chosen.board or 1) > args.count]
    if strangers:
        raise CommandError(f"--fault: there is no board {strangers[0]} of {args.count}")
    micropython.interpreter(32)  # else a board's program fails when it first boots
    signals.run(_serve(settings, args))
    return None


def _setting(args: argparse.Namespace, number: int) -> BoardSetting:
    struck = tuple(chosen.fault for chosen in args.fault if chosen.board in (None, number))
    flash = args.flash
    if flash and args.count > 1:
        flash = flash.with_name(f"{flash.name}.{number}")
    setting = BoardSetting(
        chip=args.chip,
        flash=flash,
        flash_size=faults.SIZES[args.flash_size],
        micropython=args.micropython,
        download=args.download,
        faults=struck,
        paced=args.paced,
        rfc2217=_beside(args.rfc2217 or _default(args), number),
        socket=_beside(args.socket, number),
        pty=args.pty,
        hosts={"*": args.cloud} if args.cloud else {},
    )
    return replace(setting, mac=_own_mac(setting, args.mac, number))


def _default(args: argparse.Namespace) -> Address | None:
    return None if args.socket or args.pty else ("127.0.0.1", _PORT)


def _beside(first: Address | None, number: int) -> Address | None:
    """Return the address for the board of this number, the ports counting up."""
    if first is None or first[1] == 0:
        return first
    port = first[1] + number - 1
    if port > _LAST_PORT:
        raise CommandError(f"board {number} would be on port {port}: begin with a lower one")
    return first[0], port


def _own_mac(setting: BoardSetting, first: bytes | None, number: int) -> bytes:
    if first is None and setting.flash:
        file = setting.flash.with_name(setting.flash.name + ".efuses")
        if file.exists():
            return Efuses(models.get(setting.chip).efuses, setting.mac, file).mac
    mac = int.from_bytes(first or setting.mac, "big") + number - 1
    if mac >> 48:
        raise CommandError(f"there is no MAC for board {number}: give the first a lower --mac")
    return mac.to_bytes(6, "big")


async def _serve(settings: list[BoardSetting], args: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        boards = [await stack.enter_async_context(powered(setting)) for setting in settings]
        for number, board in enumerate(boards, 1):
            prefix = f"{number}: " if len(boards) > 1 else ""
            if args.console:
                board.console(partial(_print_lines, prefix, bytearray()))
            _say(number, board, args.json)
        async with buttons.typed() as lines:
            async for line in lines:
                buttons.press(line, boards)


def _say(number: int, board: VirtualBoard, as_json: bool) -> None:
    facts = {
        "board": number,
        "chip": board.model.name,
        "mac": board.mac.hex(":"),
        "ports": board.urls,
        "flash": str(board.flash.path),
    }
    if as_json:
        print(json.dumps(facts), flush=True)
    else:
        print(f"{board.model.title} {board.mac.hex(':')}  {'  '.join(board.urls)}", flush=True)


def _print_lines(prefix: str, rest: bytearray, data: bytes) -> None:
    """Print whole lines; what a loader says is no text and is left out."""
    rest += data
    while b"\n" in rest:
        line, _, after = bytes(rest).partition(b"\n")
        rest[:] = after
        text = line.decode(errors="replace").rstrip("\r")
        if text.isprintable():
            print(prefix + text, flush=True)


@dataclass(frozen=True)
class _Chosen:
    board: int | None  # by number, None for all
    fault: Fault


def _fault(text: str) -> _Chosen:
    match = re.fullmatch(r"(?:board ([0-9]{1,4}): *)?(.*)", text.strip())
    assert match
    try:
        return _Chosen(int(match[1]) if match[1] else None, faults.parse(match[2]))
    except CommandError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("--fault ")) from None


def _mac(text: str) -> bytes:
    try:
        return bytes(parse_mac(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number from 1 to {_MOST}")
    return int(text)


def _address(text: str) -> Address:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
    if not match or int(match[3]) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text[:60]!r}: write HOST:PORT, e.g. 127.0.0.1:4001")
    return match[1] or match[2], int(match[3])
