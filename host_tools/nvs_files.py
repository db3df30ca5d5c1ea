"""The files of `keystead nvs make`: partitions and, if each has a key of its own, their keys.

Owns their names, which are those of Espressif's mfg_gen.py, and that all of them are written or
none. Everything here may hold a secret: files are for the user alone, nothing is overwritten.
Doesn't own what is in a partition (nvs).
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import nvs, private_file
from host_tools.batch import BadRow, BadRows
from host_tools.batch.mfg_gen import Device
from host_tools.errors import CommandError
from host_tools.key_sources.secret_file import read_secret
from host_tools.nvs import NvsError
from host_tools.nvs.encryption import HMAC_KEY, KEY

_BIN, _KEYS = "bin", "keys"
_LONGEST = 200  # bytes of a name: filesystems take 255


@dataclass(frozen=True)
class Sealing:
    """How partitions are encrypted. key: one for all, None: a new one for each, to be kept."""

    key: bytes | None = field(default=None, repr=False)


def sealing(encrypt: bool, key_file: Path | None, hmac_key_file: Path | None) -> Sealing | None:
    """Return what the options ask for, None for plain partitions. Raises CommandError."""
    if hmac_key_file is not None:
        secret = _secret(hmac_key_file)
        try:
            return Sealing(nvs.key_of_hmac(secret))
        except NvsError as error:
            raise CommandError(f"{hmac_key_file}: {error}") from None
    if key_file is not None:
        return Sealing(key_in(key_file))
    return Sealing() if encrypt else None


def key_in(file: Path) -> bytes:
    """Return the NVS key that a private file has; CommandError.

    It is an nvs_keys partition, a bare key of 64 bytes, or an HMAC eFuse key of 32 bytes.
    """
    secret = _secret(file)
    if len(secret) == KEY:
        return secret
    try:
        if len(secret) == HMAC_KEY:
            return nvs.key_of_hmac(secret)
        return nvs.read_key_partition(secret)
    except NvsError as error:
        raise CommandError(f"{file}: {error}") from None


def _secret(file: Path) -> bytes:
    read = read_secret(str(file))
    try:
        return bytes(read)
    finally:
        read[:] = bytes(len(read))


def names(devices: Sequence[Device], prefix: str, column: str | None, where: Path) -> list[str]:
    """Return the devices' file names, without .bin: the prefix and a number, or a column's value.

    Raises BadRows with every row whose name is none or another's; CommandError.
    """
    if why := _unfit(prefix):
        raise CommandError(f"--prefix {prefix!r} {why}")
    if column is None:
        return [f"{prefix}-{number}" for number in range(1, len(devices) + 1)]
    faults, lines, found = list[BadRow](), dict[str, int](), list[str]()
    for device in devices:
        text = _value(device, column, where)
        found.append(f"{prefix}-{text}")
        # some filesystems do not tell capitals from small letters
        before = lines.setdefault(found[-1].casefold(), device.line)
        if why := _unfit(text):
            faults.append(BadRow(device.line, f"column {column}: as part of a file name it {why}"))
        elif before != device.line:
            faults.append(BadRow(device.line, f"column {column}: the same is in line {before}"))
    if faults:
        raise BadRows(str(where), faults)
    return found


def _value(device: Device, column: str, where: Path) -> str:
    if column in device.metadata:
        return device.metadata[column]
    values = [one.value for one in device.entries if one.key == column]
    if not values or not isinstance(values[0], str):
        raise CommandError(f"--fileid: {where} has no column {column} of text")
    return values[0]


def _unfit(text: str) -> str:
    if not text or not text.isprintable() or set(text) & set("/\\"):
        return "is to be printable characters but / and \\"
    if len(text.encode()) > _LONGEST:
        return f"has more than {_LONGEST} bytes"
    return ""


def write_one(file: Path, image: bytes, sealing: Sealing | None) -> str:
    """Write a partition; return the name of its key's file, "" if there is none. CommandError."""
    image, key = _sealed(image, sealing)
    beside = file.with_name(f"keys-{file.name}") if key else None
    with ExitStack() as stack:
        if beside:
            stack.enter_context(private_file.created(beside)).write(key)
        stack.enter_context(private_file.created(file)).write(image)
    return str(beside) if beside else ""


def write_each(
    folder: Path, names: Iterable[str], images: Iterable[bytes], sealing: Sealing | None
) -> str:
    """Write partitions below a folder, all or none; return where their keys are, "" for nowhere.

    CommandError if the folder is not empty, or it can not be done.
    """
    kept = sealing is not None and sealing.key is None
    with _new(folder, (_BIN, _KEYS) if kept else (_BIN,)):
        for name, plain in zip(names, images, strict=True):
            image, key = _sealed(plain, sealing)
            if key:  # first: a partition without its key is lost
                _write(folder / _KEYS / f"keys-{name}.bin", key)
            _write(folder / _BIN / f"{name}.bin", image)
    return str(folder / _KEYS) if kept else ""


def _sealed(image: bytes, sealing: Sealing | None) -> tuple[bytes, bytes]:
    if sealing is None:
        return image, b""
    key = sealing.key or nvs.new_key()
    return nvs.encrypt(image, key), b"" if sealing.key else nvs.key_partition(key)


def _write(file: Path, data: bytes) -> None:
    with private_file.created(file) as output:
        output.write(data)


@contextmanager
def _new(folder: Path, parts: Sequence[str]) -> Iterator[None]:
    """Make a folder with others in it, for the user alone; remove all of it if anything fails."""
    made = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CommandError(f"{folder} is not empty: what is in it may be the only copy")
        try:
            for part in parts:
                (folder / part).mkdir(mode=0o700)
            yield
        except BaseException:
            for part in parts:
                shutil.rmtree(folder / part, ignore_errors=True)
            if made:
                folder.rmdir()
            raise
    except OSError as error:
        raise CommandError(f"can not write {folder}: {error.strerror}") from None
