"""Access: is this SAS token good for this resource, now, with one of these keys?

Owns the strict check and the reason why a token is refused. Doesn't own whose keys they are, nor
the clock. A token never shows: not in a repr, not in an error.
Source: "Control access with shared access signatures"; keystead.sas is the other end.
"""

import binascii
import hmac
from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote, unquote_plus

SCHEME = "SharedAccessSignature"


class Reason(Enum):
    """Why somebody is not let in, in words for the operator; never told to the device."""

    NO_TOKEN = "no SAS token was sent as the password"
    MALFORMED = "the password is not a SAS token"
    NO_RESOURCE = "the token has no sr"
    NO_SIGNATURE = "the token has no sig"
    NO_EXPIRY = "the token has no se"
    REPEATED = "the token has a field twice"
    BAD_EXPIRY = "the token's se is not a number of seconds since 1970"
    BAD_SIGNATURE = "the token's sig is not percent-encoded Base64 of 32 bytes"
    EXPIRED = "the token has expired: is the device's clock right?"
    WRONG_RESOURCE = "the token is for another resource"
    WRONG_POLICY = "the token names a policy (skn) that is not for devices here"
    UNKNOWN_POLICY = "the token names no policy (skn) of this service"
    NO_RIGHT = "the token's policy (skn) has not the right that this needs"
    WRONG_KEY = "the token is signed with a wrong key"
    UNDECODED_KEY = "the token is signed with the key's Base64 text: decode the key first"
    GROUP_KEY = "the token is signed with the group key itself: derive the device key from it"
    DERIVED_KEY = "an individual enrollment signs with its own key, not with one of a group's"
    BAD_LEVEL = "it speaks another version of MQTT than 3.1.1"
    BAD_USERNAME = "the user name is neither DPS's nor an IoT Hub's"
    MODULE = "it connects as a module of a device: this cloud has devices only"
    BAD_CLIENT_ID = "the client ID is not the ID in the user name"
    BAD_WILL = "its will is for a topic other than its telemetry's"
    UNKNOWN_SCOPE = "no DPS instance has this ID scope"
    UNKNOWN_HUB = "no hub here goes by this name"
    UNKNOWN_DEVICE = "the hub knows no such device"
    NOT_ENROLLED = "no enrollment is for this device"
    BAD_REGISTRATION_ID = "that is not a registration ID"
    DISABLED = "it is disabled"
    TAKEN = "its device ID at the hub belongs to another registration ID"


class AccessDenied(Exception):
    """Somebody is not let in; the reason is for the operator."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Resource:
    """What a token must be for: {host}/{path}/{path}, as the client named it."""

    hosts: Container[str]  # in lower case: all the names one service goes by
    path: Sequence[str] = ()

    def is_covered_by(self, uri: str) -> bool:
        """Tell whether uri names this resource or one above it, at a segment's border."""
        host, *path = uri.split("/")
        return host.lower() in self.hosts and path == list(self.path[: len(path)])


class Token:
    """A SAS token taken apart; what it says is not yet believed."""

    def __init__(self, uri: str, signature: bytes, expiry: int, policy: str, signed: bytes):
        self.uri = uri
        self.expiry = expiry
        self.policy = policy
        self._signature = signature
        self._signed = signed

    def __repr__(self) -> str:
        return f"Token({self.uri!r}, expiry={self.expiry})"

    # SharedAccessSignature sr={resource}&sig={signature}&se={seconds}[&skn={policy}], any order;
    # sig signs "{sr exactly as it stands}\n{se}"
    @classmethod
    def parse(cls, password: bytes | None) -> "Token":
        """Return the token in an MQTT password; raise AccessDenied."""
        fields = _fields(password)
        for name, reason in _REQUIRED:
            if not fields.get(name):
                raise AccessDenied(reason)
        expiry = fields["se"]
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) < 20):
            raise AccessDenied(Reason.BAD_EXPIRY)
        signed = f"{fields['sr']}\n{expiry}".encode()
        uri, policy = unquote(fields["sr"]), unquote(fields.get("skn", ""))
        return cls(uri, _signature(fields["sig"]), int(expiry), policy, signed)

    def is_signed_with(self, keys: Iterable[bytes]) -> bool:
        """Tell whether one of keys made the signature; takes the same time for each of them."""
        # the standard library's, not keystead.sas: the judge does not ask the judged
        macs = [hmac.digest(key, self._signed, "sha256") for key in keys]
        return sum(hmac.compare_digest(mac, self._signature) for mac in macs) > 0


_REQUIRED = (
    ("sr", Reason.NO_RESOURCE),
    ("sig", Reason.NO_SIGNATURE),
    ("se", Reason.NO_EXPIRY),
)


def check(token: Token, resource: Resource, now: float, policies: Collection[str] = ("",)) -> None:
    """Raise AccessDenied unless token is for resource, names one of policies and has not expired.

    All but the signature: whose key it should be may depend on what the resource is.
    """
    if not resource.is_covered_by(token.uri):
        raise AccessDenied(Reason.WRONG_RESOURCE)
    if token.policy not in policies:
        raise AccessDenied(Reason.WRONG_POLICY)
    if token.expiry <= now:
        raise AccessDenied(Reason.EXPIRED)


def check_key(token: Token, keys: Collection[bytes]) -> None:
    """Raise AccessDenied unless one of keys signed token."""
    if token.is_signed_with(keys):
        return
    raise AccessDenied(
        Reason.UNDECODED_KEY if token.is_signed_with(undecoded(keys)) else Reason.WRONG_KEY
    )


def undecoded(keys: Iterable[bytes]) -> list[bytes]:
    """Return keys as a device has them that forgot to decode their Base64."""
    return [binascii.b2a_base64(key, newline=False) for key in keys]


def _fields(password: bytes | None) -> dict[str, str]:
    if not password:
        raise AccessDenied(Reason.NO_TOKEN)
    try:
        scheme, blank, rest = password.decode().partition(" ")
    except UnicodeDecodeError:
        raise AccessDenied(Reason.MALFORMED) from None
    pairs = [field.partition("=") for field in rest.split("&")]
    if scheme != SCHEME or not blank or not all(equals for _, equals, _ in pairs):
        raise AccessDenied(Reason.MALFORMED)
    fields = {name: value for name, _, value in pairs}
    if len(fields) < len(pairs):
        raise AccessDenied(Reason.REPEATED)
    return fields


def _signature(text: str) -> bytes:
    # the service reads it as a form field: a + that is not encoded is a blank
    try:
        signature = binascii.a2b_base64(unquote_plus(text).encode(), strict_mode=True)
    except ValueError:
        signature = b""
    if len(signature) != 32:
        raise AccessDenied(Reason.BAD_SIGNATURE)
    return signature
