"""`keystead nvs show`: what a partition holds, for people and for scripts.

Owns what is shown of it: values only on demand, and of what Keystead itself keeps there (the
factory record, rotated keys) never: it is or may be a device key. Doesn't own reading (nvs).
"""

import argparse
import json
from pathlib import Path
from typing import Any

from host_tools import keys, nvs, nvs_files
from host_tools.errors import CommandError
from host_tools.images import input_file
from host_tools.nvs import NvsError
from host_tools.nvs.reader import Stored, stored
from host_tools.nvs.writer import LARGEST
from host_tools.printable import printable
from keystead import record
from keystead.failure import Failure
from keystead.registration_id import format_mac

_OURS = "keystead"  # the namespace that firmware/rim/flash.py has
_TOO_LARGE = f"has more than {LARGEST >> 20} MiB: it is no NVS partition"
_MAGIC = b"KS\1\0"  # how a factory record begins, wherever it was copied to
_MAC = slice(6, 12)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to show, and how."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="a partition, of whole pages of 4096 bytes")
    add("--json", action="store_true", help="print one JSON object")
    add("--values", action="store_true", help="and values; Keystead's own never: they may be keys")
    add("--key-file", type=Path, metavar="FILE",
        help="it is encrypted: its nvs_keys partition, or the HMAC eFuse key")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Read, decrypt, print. Raises CommandError."""
    image = input_file.read(args.file, LARGEST, _TOO_LARGE)
    found = [_facts(one, args.values) for one in _stored(args, image)]
    if args.json:
        print(json.dumps({"file": str(args.file), "size": len(image), "entries": found}))
        return
    namespaces = len({one["namespace"] for one in found})
    print(f"{args.file}: {len(image)} bytes, namespaces: {namespaces}, keys: {len(found)}")
    for one in found:
        print(_line(one))
        if "record" in one:
            print(_record_line(one["record"]))


def _stored(args: argparse.Namespace, image: bytes) -> list[Stored]:
    key = nvs_files.key_in(args.key_file) if args.key_file else None
    what = f"{args.file}, decrypted with {args.key_file}" if args.key_file else str(args.file)
    try:
        return stored(image if key is None else nvs.decrypt(image, key))
    except NvsError as error:
        raise CommandError(f"{what}: {error}") from None


def _facts(one: Stored, values: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "namespace": one.namespace, "key": one.key, "type": one.type, "size": one.size,
    }  # fmt: skip
    ours = one.namespace == _OURS and not isinstance(one.value, int)
    if isinstance(one.value, bytes) and (
        one.value.startswith(_MAGIC) or (ours and one.key == "record")
    ):
        told["record"] = _of_record(one.value)
    elif values and not ours:
        told["value"] = one.value.hex() if isinstance(one.value, bytes) else one.value
    return told


def _of_record(blob: bytes) -> dict[str, Any]:
    try:
        found = record.unpack(blob, blob[_MAC])
    except Failure as error:
        return {"damage": str(error)}
    device_keys = found.keys()
    return {
        "registrationId": found.registration_id,
        "mac": format_mac(found.mac, ":"),
        "idScope": found.id_scope,
        "endpoint": found.endpoint,
        "fingerprints": [keys.fingerprint(key) for key in device_keys if key],
    }


def _line(one: dict[str, Any]) -> str:
    # names and texts are foreign: no control character of theirs gets to the terminal
    names = f"{printable(one['namespace']):<15}  {printable(one['key']):<15}"
    value = one.get("value", "")
    if one["type"] == "string" and value:
        value = json.dumps(value)
    return f"  {names}  {one['type']:<6}  {one['size']:>5}  {value}".rstrip()


def _record_line(told: dict[str, Any]) -> str:
    if "damage" in told:
        return f"    a factory record that is of no use: {told['damage']}"
    prints = " and ".join(one[:16] for one in told["fingerprints"])
    name, scope = printable(told["registrationId"]), printable(told["idScope"])
    return (
        f"    record of {name}, MAC {told['mac']}, ID scope {scope}\n    key fingerprint {prints}"
    )
