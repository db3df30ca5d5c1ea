"""Make the factory record of one board: who it is, and its derived device key.

  keystead record --id-scope 0ne00002193 --serial 007-888-abc \\
      --mac a1:b2:c3:d4:e5:f6 | mpremote run /dev/stdin

Prints a MicroPython script that writes the record into the board's NVS and checks it there; a
pipe leaves no copy on this machine's disk. --output FILE writes the bare record instead, readable
by you alone. The group key comes from KEYSTEAD_GROUP_KEY, a file or a prompt.
"""

import argparse
import sys
from pathlib import Path

from host_tools import identity, keys, private_file
from host_tools.errors import CommandError

_SCRIPT = """\
import binascii, esp32, machine
record = binascii.a2b_base64("{record}")
if machine.unique_id() != binascii.unhexlify("{mac}"):
    raise RuntimeError("this board has MAC " + binascii.hexlify(machine.unique_id()).decode())
nvs = esp32.NVS("keystead")
nvs.set_blob("record", record)
nvs.commit()
written = bytearray(len(record))
if nvs.get_blob("record", written) != len(record) or written != record:
    raise RuntimeError("NVS did not keep the record")
print("factory record of {name} installed, " + str(len(record)) + " bytes")
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    identity.add_arguments(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the bare record here")


def run(args: argparse.Namespace) -> None:
    """Print the script, or write the file."""
    if args.output is None and sys.stdout.isatty():
        raise CommandError("the script holds the device key: pipe it to mpremote, or use --output")
    record = identity.factory_record(args)
    packed = record.pack()
    if args.output is None:
        text = keys.encode_key(packed)
        name = record.registration_id
        sys.stdout.write(_SCRIPT.format(record=text, mac=record.mac.hex(), name=name))
        return
    with private_file.created(args.output) as output:
        output.write(packed)
    print(f"{args.output}: factory record of {record.registration_id}, {len(packed)} bytes")
