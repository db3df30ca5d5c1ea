"""Hub: the IoT Hubs of this cloud, who gets in, and what is kept for whom is away.

Owns the names hubs go by, the check at CONNECT, stored subscriptions and twins. Doesn't own what
a device does once it is in (hub_peer.py) nor the connection (session.py).
Source: "Communicate with an IoT hub using the MQTT protocol".
"""

import re
from collections.abc import Callable, Iterable

from host_tools.emulator.access import AccessDenied, Reason, Resource, Token, check, check_key
from host_tools.emulator.events import Event
from host_tools.emulator.host_names import without_port
from host_tools.emulator.hub.peer import HubPeer, is_telemetry
from host_tools.emulator.hub.twin import Twin
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.records import Identity
from host_tools.emulator.store.store import Store

# {hub host}/{device ID}/?api-version={date}[&DeviceClientType={text}...]; the oldest without the ?
_USERNAME = re.compile(rf"([^/]+)/([^/]+)/\??api-version=({API_VERSION})(?:&.*)?")


class Hubs:
    """All hubs, fed with CONNECTs."""

    name = "IoT Hub"

    def __init__(
        self,
        names: Iterable[str],
        store: Store,
        tell: Callable[[Event], None],
        alias: str = "",
    ) -> None:
        """names: of the hubs; alias: a name that any of them goes by as well, "" for none."""
        self.tell = tell
        self._names = {name.lower() for name in names}
        self._alias = without_port(alias)
        self._store = store
        self._twins: dict[tuple[str, str], Twin] = {}
        self._subscriptions: dict[tuple[str, str], dict[str, int]] = {}

    def connect(self, connect: Connect, now: float) -> HubPeer:
        """Return the peer; raise AccessDenied."""
        match = _USERNAME.fullmatch(connect.username or "")
        if not match:
            raise AccessDenied(Reason.BAD_USERNAME)
        name, device_id, api_version = match.groups()
        if connect.client_id != device_id:
            raise AccessDenied(Reason.BAD_CLIENT_ID)
        token = Token.parse(connect.password)
        identity = self._identity(without_port(name), device_id, token)
        check(token, Resource(self._names_of(identity.hub), ("devices", device_id)), now)
        check_key(token, tuple(identity.keys))
        if not identity.enabled:
            raise AccessDenied(Reason.DISABLED)
        if connect.will and not is_telemetry(connect.will.topic, device_id):
            raise AccessDenied(Reason.BAD_WILL)
        return self._peer(connect, identity, api_version, token.expiry)

    def _identity(self, name: str, device_id: str, token: Token) -> Identity:
        if not name or (name not in self._names and name != self._alias):
            raise AccessDenied(Reason.UNKNOWN_HUB)
        hub = name if name in self._names else None
        identities = self._store.identities(device_id, hub)
        if not identities:
            raise AccessDenied(Reason.UNKNOWN_DEVICE)
        # one alias stands for several hubs: the key tells which one's device it is
        signed = [one for one in identities if token.is_signed_with(one.keys)]
        return (signed or identities)[0]

    def _names_of(self, hub: str) -> "_Names":
        return _Names({hub.lower(), self._alias} - {""})

    def _peer(
        self, connect: Connect, identity: Identity, api_version: str, expiry: float
    ) -> HubPeer:
        key = (identity.hub.lower(), identity.device_id)
        stored = self._subscriptions.pop(key, None)
        subscriptions = {} if connect.clean or stored is None else stored
        if not connect.clean:
            self._subscriptions[key] = subscriptions
        return HubPeer(
            self.tell,
            identity,
            api_version=api_version,
            expiry=expiry,
            subscriptions=subscriptions,
            session_present=stored is not None and not connect.clean,
            twin=self._twins.setdefault(key, Twin()),
            will=connect.will,
        )


class _Names(frozenset[str]):
    """Host names of one hub, each also with any port behind it."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(without_port(name))
