"""The group key in a PKCS#11 token: it signs there, by CKM_SHA256_HMAC, and never leaves it.

HMAC-SHA256 of the registration ID under the group key is all that deriving is, so an HSM can do
it. Owns the session with the token. Doesn't own the words of its errors (token_errors), the
URI, the module or the PIN.
"""

import sys
from collections.abc import Iterator
from typing import Any, Self

from host_tools.errors import CommandError
from host_tools.key_sources.extras import needed
from host_tools.key_sources.pin import read_pin
from host_tools.key_sources.token_errors import NO_HMAC, told
from host_tools.key_sources.token_module import find_modules
from host_tools.key_sources.token_uri import TokenUri, parse_uri

_SIZE = 32  # bytes of HMAC-SHA256


class TokenKey:
    """A key in a token with which this process has a session."""

    def __init__(self, session: Any, key: Any, label: str) -> None:
        self.label = label
        self._session = session
        self._key = key
        self._mechanism = _pkcs11().Mechanism.SHA256_HMAC

    def __repr__(self) -> str:
        return f"TokenKey({self.label!r})"

    def derive(self, registration_id: str) -> bytes:
        """Return the 32-byte device key of a member of the group; CommandError."""
        with told(self.label):
            found: bytes = self._key.sign(registration_id.encode(), mechanism=self._mechanism)
        if len(found) != _SIZE:
            raise CommandError(f"{self.label} signs with {len(found)} bytes, not HMAC-SHA256's 32")
        return found

    def close(self) -> None:
        """Log out."""
        session, self._session = self._session, None
        if session is not None:
            with told(self.label):
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def from_token(text: str) -> TokenKey:
    """Open the key that a URI names, without its "pkcs11:"; CommandError."""
    uri = parse_uri(text)
    token = _token(uri)
    label = f"the key {uri.key} in token {token.label!r}"
    with told(f"token {token.label!r}", token):
        session = _session(uri, token)
    try:
        with told(label):
            key = _key(uri, session)
            _warn(key, label)
        source = TokenKey(session, key, label)
        source.derive("keystead")  # what can not sign is told now, before any board
    except CommandError:
        session.close()
        raise
    return source


def _token(uri: TokenUri) -> Any:
    modules = find_modules(uri)
    tokens = [token for path in modules for token in _tokens(path)]
    found = [token for token in tokens if _matches(uri, token)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(repr(token.label) for token in found or tokens)) or "none"
    where = modules[0] if len(modules) == 1 else "the PKCS#11 modules of this machine"
    if found:
        raise CommandError(
            f"more than one token in {where} is meant ({names}): add serial= or slot-id="
        )
    raise CommandError(f"no such token in {where}; there are: {names}")


def _tokens(path: str) -> Iterator[Any]:
    pkcs11 = _pkcs11()
    with told(f"the PKCS#11 module {path} does not start"):
        module = pkcs11.lib(path)
    with told(f"the PKCS#11 module {path}"):
        for slot in module.get_slots(token_present=True):
            token = slot.get_token()
            if pkcs11.TokenFlag.TOKEN_INITIALIZED in token.flags:
                yield token


def _matches(uri: TokenUri, token: Any) -> bool:
    pairs = (
        (uri.token, token.label),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
        (uri.serial, token.serial.decode(errors="replace")),
        (uri.slot_id, token.slot.slot_id),
        (uri.slot_description, token.slot.slot_description),
        (uri.slot_manufacturer, token.slot.manufacturer_id),
    )
    return all(wanted is None or wanted == there for wanted, there in pairs)


# a process logs in to a token once: a second key of it is there without a PIN
def _session(uri: TokenUri, token: Any) -> Any:
    session = token.open()
    if _usable(_keys(uri, session)):
        return session
    session.close()
    return token.open(user_pin=_pin(uri, token))


def _usable(found: list[Any]) -> bool:
    pkcs11 = _pkcs11()
    try:
        for key in found:
            if hasattr(key, "sign"):
                key.sign(b"", mechanism=pkcs11.Mechanism.SHA256_HMAC)
    except pkcs11.UserNotLoggedIn:
        return False
    return bool(found)


def _key(uri: TokenUri, session: Any) -> Any:
    found = _keys(uri, session)
    if not found:
        raise CommandError(
            f"token {session.token.label!r} has no secret key {uri.key}: "
            "see what it has with `pkcs11-tool --list-objects --login`"
        )
    if len(found) > 1:
        raise CommandError(
            f"token {session.token.label!r} has {len(found)} keys {uri.key}: add id= to the URI"
        )
    if not hasattr(found[0], "sign"):  # python-pkcs11's word for a key without CKA_SIGN
        raise CommandError(f"key {uri.key} in token {session.token.label!r}: {NO_HMAC}")
    return found[0]


def _keys(uri: TokenUri, session: Any) -> list[Any]:
    pkcs11 = _pkcs11()
    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}
    if uri.object is not None:
        wanted[pkcs11.Attribute.LABEL] = uri.object
    if uri.id is not None:
        wanted[pkcs11.Attribute.ID] = uri.id
    return list(session.get_objects(wanted))


def _pin(uri: TokenUri, token: Any) -> Any:
    pkcs11 = _pkcs11()
    if pkcs11.TokenFlag.PROTECTED_AUTHENTICATION_PATH in token.flags and uri.pin_source is None:
        print(f"type the PIN of {token.label!r} at its own keypad", file=sys.stderr)
        return needed("pkcs11.types", "hsm").PROTECTED_AUTH
    return read_pin(uri, repr(token.label))


def _warn(key: Any, label: str) -> None:
    attribute = _pkcs11().Attribute
    if key[attribute.EXTRACTABLE] or not key[attribute.SENSITIVE]:
        print(
            f"warning: {label} can be read out of it: "
            "import it anew as sensitive and not extractable",
            file=sys.stderr,
        )


def _pkcs11() -> Any:
    return needed("pkcs11", "hsm")
