"""Greeting: a CONNECT as the trace keeps it, its password gone.

Owns what is said of a SAS token without its signature. Doesn't own whether the token is good:
that is access.py; a malformed CONNECT leaves nothing but its size.
"""

from dataclasses import dataclass, replace
from typing import Any

from host_tools.emulator.access import SCHEME
from host_tools.emulator.mqtt.connect import LEVEL, Connect
from host_tools.emulator.mqtt.framing import ProtocolError
from host_tools.emulator.trace.mask import shown

_LONGEST = 512  # characters of each field
_PARTS = ("sr", "se", "skn")  # of a token, those that may be known


@dataclass(frozen=True, slots=True)
class Greeting:
    """A CONNECT, and what its password was."""

    connect: Connect  # without its password
    token: dict[str, str] | None  # sr, se and skn as they stand there; None: no SAS token
    password: bool

    def facts(self, now: float) -> dict[str, Any]:
        """Return what there is to say as JSON values; now: when it came."""
        connect = self.connect
        facts: dict[str, Any] = {
            "client_id": shown(connect.client_id),
            "username": None if connect.username is None else shown(connect.username),
            "keep_alive": connect.keep_alive,
            "clean": connect.clean,
        }
        if connect.level != LEVEL:
            return {"level": connect.level}
        if connect.will:
            facts["will"] = {"topic": shown(connect.will.topic), "qos": connect.will.qos}
        if self.token is not None:
            facts["token"] = {name: shown(value) for name, value in self.token.items()}
            facts["token_life"] = self.life(now)
        return facts

    def life(self, now: float) -> int | None:
        """Return for how many seconds more the token is good; None if nobody can tell."""
        expiry = (self.token or {}).get("se", "")
        good = expiry.isascii() and expiry.isdigit() and len(expiry) < 20
        return int(expiry) - int(now) if good else None

    def words(self, now: float) -> str:
        """Return it in words; now: when it came."""
        connect = self.connect
        if connect.level != LEVEL:
            return f"protocol level {connect.level}, not {LEVEL} (MQTT 3.1.1)"
        parts = [
            f"client ID {shown(connect.client_id)!r}",
            "no user name" if connect.username is None else f"user {shown(connect.username)!r}",
            f"keep-alive {connect.keep_alive} s" if connect.keep_alive else "no keep-alive",
            "clean session" if connect.clean else "keeps its session",
        ]
        if connect.will:
            parts.append(f"will to {shown(connect.will.topic)!r}, QoS {connect.will.qos}")
        return ", ".join([*parts, self._token_words(now)])

    def _token_words(self, now: float) -> str:
        if self.token is None:
            return "its password is not a SAS token" if self.password else "no password"
        stated = ", ".join(f"{name} {shown(value)}" for name, value in self.token.items())
        return f"token: {stated}{_life_words(self.life(now))}"


def greeting(body: bytes) -> Greeting | None:
    """Return what is kept of a CONNECT's body; None if it is malformed."""
    try:
        connect = Connect.parse(0, body)
    except ProtocolError:
        return None
    will = connect.will
    kept = replace(
        connect,
        client_id=connect.client_id[:_LONGEST],
        username=None if connect.username is None else connect.username[:_LONGEST],
        password=None,
        will=will and will._replace(topic=will.topic[:_LONGEST], payload=b""),
    )
    return Greeting(kept, _token(connect.password), bool(connect.password))


# SharedAccessSignature sr={resource}&sig={signature}&se={seconds}[&skn={policy}], any order
def _token(password: bytes | None) -> dict[str, str] | None:
    scheme, _, rest = (password or b"").decode(errors="replace").partition(" ")
    if scheme != SCHEME:
        return None
    pairs = (field.partition("=") for field in rest.split("&"))
    fields = {name: value[:_LONGEST] for name, _, value in pairs}
    return {name: fields[name] for name in _PARTS if name in fields}


def _life_words(life: int | None) -> str:
    if life is None:
        return ""
    return f", good for {_span(life)}" if life > 0 else f", expired {_span(-life)} ago"


def _span(seconds: int) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
