"""PKCS#11 URIs: which key, of which token, through which module (RFC 7512)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from host_tools.errors import CommandError

# RFC 7512, section 2.3; library-* and vendors' own attributes are refused, not passed over
_PATH = {
    "token", "manufacturer", "serial", "model", "slot-description", "slot-manufacturer",
    "slot-id", "object", "type", "id",
}  # fmt: skip
_QUERY = {"pin-source", "module-name", "module-path"}
# unreserved, escaped, and what each part allows besides
_VALUE = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&/?|-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True)
class TokenUri:
    """A key in a token; what is None may be anything."""

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    slot_description: str | None = None
    slot_manufacturer: str | None = None
    slot_id: int | None = None
    object: str | None = None
    id: bytes | None = None
    pin_source: str | None = None
    module_name: str | None = None
    module_path: str | None = None

    @property
    def key(self) -> str:
        """Return what the key is called, for people."""
        return repr(self.object) if self.object is not None else f"id {(self.id or b'').hex()}"


def parse_uri(text: str) -> TokenUri:
    """Read what follows "pkcs11:"; CommandError, which does not repeat a PIN."""
    path, question, query = text.partition("?")
    if "pin-value" in text:
        _refuse(
            "a PIN in it can be seen by every process of this machine: "
            "use pin-source=file:PATH, KEYSTEAD_PIN or the prompt, and have this PIN changed"
        )
    found = _attributes(path.split(";") if path else (), _PATH)
    found |= _attributes(query.split("&") if question else (), _QUERY)
    if found.pop("type", b"secret-key") != b"secret-key":
        _refuse("type must be secret-key: a group key is one")
    if not {"object", "id"} & set(found):
        _refuse("it names no key: give object= or id=, e.g. pkcs11:token=factory;object=dps-group")
    return TokenUri(**{name.replace("-", "_"): _read(name, raw) for name, raw in found.items()})  # type: ignore[arg-type]


def _attributes(parts: Iterable[str], known: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in known:
            _refuse(f"{name!r} is not known: there are {', '.join(sorted(known))}")
        if name in found:
            _refuse(f"{name} is given twice")
        if not _VALUE.fullmatch(value):
            _refuse(f"the value of {name} has a character that must be written as %XX")
        found[name] = unquote_to_bytes(value)
    return found


def _read(name: str, raw: bytes) -> str | int | bytes:
    if name == "id":
        return raw
    if name == "slot-id":
        if not raw.isdigit():
            _refuse("slot-id is a number")
        return int(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        _refuse(f"the value of {name} is not UTF-8")


def _refuse(why: str) -> NoReturn:
    raise CommandError(f"the key source's pkcs11: URI: {why}")
