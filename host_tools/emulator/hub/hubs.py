"""Hubs: the IoT Hubs of this cloud, who gets in, and what DPS asks of them.

Owns the names hubs go by, the check at CONNECT, and an identity's way from one hub to another.
Doesn't own what a device does once it is in (peer.py), what a hub keeps (hub.py) nor the
connection (session.py). Modules of devices are refused with a reason: this cloud has devices only.
Source: "Communicate with an IoT hub using the MQTT protocol".
"""

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Literal

from host_tools.emulator.access import AccessDenied, Reason, Resource, Token, check, check_key
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.host_names import HostNames, without_port
from host_tools.emulator.hub.device import Device
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.hub.peer import HubPeer, is_telemetry
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.policies import DEVICE_CONNECT
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.devices import DeviceTable
from host_tools.emulator.store.telemetry import TelemetryTable

# {hub host}/{device ID}/?api-version={date}[&DeviceClientType={text}...]; the oldest without the
# ?, and some with no API version at all
_USERNAME = re.compile(r"([^/]+)/([^/]+)(?:/\??((?:[^=&/?]+=[^&]*(?:&[^=&/?]+=[^&]*)*)?))?")
# {hub host}/{device ID}/{module ID}/?api-version={date}
_MODULE = re.compile(r"[^/]+/[^/]+/[^/?=]+(?:/\??[^/?=]*(?:=.*)?)?")


class Hubs:
    """All hubs, fed with CONNECTs."""

    name = "IoT Hub"

    def __init__(
        self,
        names: Iterable[str],
        database: Database,
        tell: Callable[[Event], None],
        alias: str = "",
        random: Callable[[int], bytes] = secrets.token_bytes,
        strict_twin: bool = False,
        telemetry: TelemetryTable | None = None,
    ) -> None:
        """names: of the hubs; alias: a name that any of them goes by as well, "" for none.

        strict_twin: twin requests are answered only to who subscribed to the answers; a device
        whose SDK asks for its twin before it subscribes then waits in vain. telemetry:
        where messages of devices are kept, None for nowhere. Raises StoreError.
        """
        self.tell = tell
        self._hubs = {
            name.lower(): Hub(name, database, tell, random, strict_twin, telemetry)
            for name in names
        }
        self._alias = without_port(alias)
        self._devices = DeviceTable(database)
        self._transaction = database.transaction

    def all(self) -> list[Hub]:
        """Return every hub."""
        return list(self._hubs.values())

    def hub(self, name: str) -> Hub:
        """Return a hub by its name, whatever its case and the port behind it.

        ServiceError 404001; an alias is nobody's name.
        """
        hub = self._hubs.get(without_port(name))
        if hub is None:
            raise ServiceError(404001, f"IoT hub {name[:253]} not found.")
        return hub

    def expire(self, now: float, tick: float) -> None:
        """Have all hubs give up what waited too long."""
        for hub in self._hubs.values():
            hub.expire(now, tick)

    # --- who gets in

    def connect(self, connect: Connect, now: float) -> HubPeer:
        """Return the peer; raise AccessDenied or StoreError."""
        name, device_id, api_version = parse_username(connect.username or "")
        if connect.client_id != device_id:
            raise AccessDenied(Reason.BAD_CLIENT_ID)
        token = Token.parse(connect.password)
        device = self._device(without_port(name), device_id, token)
        hub = self._hubs[device.hub.lower()]
        self._check(token, hub, device, now)
        if not device.enabled:
            raise AccessDenied(Reason.DISABLED)
        if connect.will and not is_telemetry(connect.will.topic, device_id):
            raise AccessDenied(Reason.BAD_WILL)
        stored = hub.connections.begin_session(device_id, connect.clean, now)
        return HubPeer(
            hub, device_id, api_version, token.expiry, stored, connect.clean, connect.will, now
        )

    def _device(self, name: str, device_id: str, token: Token) -> Device:
        if not name or (name not in self._hubs and name != self._alias):
            raise AccessDenied(Reason.UNKNOWN_HUB)
        found = self._devices.find(device_id, name if name in self._hubs else None)
        devices = [device for device in found if device.hub.lower() in self._hubs]
        if not devices:
            raise AccessDenied(Reason.UNKNOWN_DEVICE)
        # one alias stands for several hubs: the key tells which one's device it is
        signed = [one for one in devices if self._is_signed(token, one)]
        return (signed or devices)[0]

    def _is_signed(self, token: Token, device: Device) -> bool:
        if token.policy:
            return self._hubs[device.hub.lower()].policies.knows(token)
        return token.is_signed_with(device.keys)

    # with a device's own key, or with that of a policy that may stand for any device
    def _check(self, token: Token, hub: Hub, device: Device, now: float) -> None:
        names = HostNames(hub.key, self._alias)
        path = ("devices", device.device_id)
        if token.policy:
            hub.policies.check(token, names, DEVICE_CONNECT, now, path)
            return
        check(token, Resource(names, path), now)
        check_key(token, tuple(device.keys))

    # --- what DPS asks

    def provision(
        self,
        hub_name: str,
        device_id: str,
        keys: KeyPair,
        now: float,
        initial_twin: dict[str, Any] | None = None,
    ) -> None:
        """Make a device, or give new keys to the one that is there, which keeps all it has.

        A device that is disabled stays so. Raises ServiceError, also for a bad initial twin.
        """
        self.hub(hub_name).provision(device_id, keys, now, initial_twin)

    def migrate(
        self,
        device_id_from: str,
        hub_from: str,
        device_id_to: str,
        hub_to: str,
        keys: KeyPair,
        now: float,
        twin: Literal["migrate", "reset"],
        initial_twin: dict[str, Any] | None = None,
    ) -> None:
        """Move a device to another hub or ID, with its twin or with a new one.

        Its old identity goes, with messages and session, and its connection there ends. Raises
        ServiceError; then nothing has changed.
        """
        source, target = self._hubs.get(without_port(hub_from)), self.hub(hub_to)
        here = source.find(device_id_from) if source else None
        if source is None or here is None or (source is target and device_id_from == device_id_to):
            target.provision(device_id_to, keys, now, initial_twin)
            return
        with target.guard.storing(device_id_to, now), self._transaction():
            moving = source.twin(device_id_from)
            source.erase(device_id_from)
            target.provision(device_id_to, keys, now, None)
            target.put_twin(device_id_to, moving if twin == "migrate" else initial_twin, now)
        source.mourn(device_id_from, f"it moved to {hub_to}", now)


# {hub host}, {device ID}, {date} or ""
def parse_username(name: str) -> tuple[str, str, str]:
    """Return the parts of an MQTT user name; raise AccessDenied."""
    match = _USERNAME.fullmatch(name)
    if not match:
        raise AccessDenied(Reason.MODULE if _MODULE.fullmatch(name) else Reason.BAD_USERNAME)
    host, device_id, rest = match.groups(default="")
    fields = dict(field.split("=", 1) for field in rest.split("&") if field)
    version: str = fields.get("api-version", "")
    if "api-version" in fields and not re.fullmatch(API_VERSION, version):
        raise AccessDenied(Reason.BAD_USERNAME)
    return host, device_id, version
