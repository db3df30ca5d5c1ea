"""DPS: one instance of the service, who gets in and which hub they are assigned.

Owns the check at CONNECT and the assignment. Doesn't own the requests a device makes once it is
in (dps_peer.py) nor the connection (session.py).
Source: "Communicate with DPS using the MQTT protocol".
"""

import re
from collections.abc import Callable

from host_tools.emulator.access import AccessDenied, Reason, Resource, Token, check
from host_tools.emulator.config import Config
from host_tools.emulator.dps import bodies as dps_bodies
from host_tools.emulator.dps.enrollment import Enrollment, Enrollments, fold
from host_tools.emulator.dps.operations import Operations, guid
from host_tools.emulator.dps.peer import DpsPeer
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Assigned, Event, Failed, Refused
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.records import Identity, Registration
from host_tools.emulator.store.database import StoreError
from host_tools.emulator.store.store import Store
from keystead import registration_id as registration_ids

_POLICIES = ("", "registration")
# {ID scope}/registrations/{registration ID}/api-version={date}[&ClientVersion={text}]
_USERNAME = re.compile(rf"([^/]+)/registrations/([^/]+)/api-version=({API_VERSION})(?:&.*)?")


class Dps:
    """One DPS instance, fed with CONNECTs."""

    name = "DPS"

    def __init__(
        self,
        config: Config,
        enrollments: Enrollments,
        store: Store,
        tell: Callable[[Event], None],
        random: Callable[[int], bytes],
        advertise: str = "",
    ) -> None:
        """advertise: the name handed out instead of the assigned hub's own, "" for none."""
        self.tell = tell
        self.random = random
        self.retry_after = config.retry_after
        self.operations = Operations(config.assigning_replies, random)
        self._config = config
        self._enrollments = enrollments
        self._store = store
        self._advertise = advertise

    def connect(self, connect: Connect, now: float) -> DpsPeer:
        """Return the peer; raise AccessDenied.

        A bad token is refused here (refuse_at = "connect") or, as the real service was seen to
        do, only when the device asks to register.
        """
        match = _USERNAME.fullmatch(connect.username or "")
        if not match:
            raise AccessDenied(Reason.BAD_USERNAME)
        id_scope, registration_id, api_version = match.groups()
        if connect.client_id != registration_id:
            raise AccessDenied(Reason.BAD_CLIENT_ID)
        peer = DpsPeer(self, registration_id, api_version)
        try:
            token = self._check(id_scope, registration_id, connect.password, now)
            peer.admit(self._enrollments.find(registration_id, token), token.expiry)
        except AccessDenied as denied:
            if self._config.refuse_at == "connect":
                raise
            peer.refusal = denied.reason
        return peer

    # {ID scope}/registrations/{registration ID}
    def _check(
        self, id_scope: str, registration_id: str, password: bytes | None, now: float
    ) -> Token:
        try:
            registration_ids.check(registration_id, wide=True)
        except registration_ids.InvalidRegistrationID:
            raise AccessDenied(Reason.BAD_REGISTRATION_ID) from None
        ours = self._config.id_scope.lower()
        if id_scope.lower() != ours:
            raise AccessDenied(Reason.UNKNOWN_SCOPE)
        token = Token.parse(password)
        check(token, Resource({ours}, ("registrations", registration_id)), now, _POLICIES)
        return token

    def assign(self, registration_id: str, enrollment: Enrollment, now: float) -> Registration:
        """Assign a device to its hub, make its identity there, and return the record of it.

        A device that moved from another hub loses its identity there, not its live connection.
        Raises ServiceError.
        """
        try:
            registration = self._keep(registration_id, enrollment, now)
        except StoreError as error:
            why = f"its assignment can not be kept: {error}"
            self.tell(Failed(now, self.name, registration_id, why, "error 500001"))
            raise ServiceError(500001, "Internal server error.") from None
        self.tell(
            Assigned(
                now,
                registration_id,
                registration.device_id,
                registration.hub,
                self.name_to_dial(registration.hub),
                enrollment.label,
                registration.substatus,
            )
        )
        return registration

    def _keep(self, registration_id: str, enrollment: Enrollment, now: float) -> Registration:
        device_id, hub = enrollment.device_id(registration_id), enrollment.hub
        earlier = self._store.registration(registration_id)
        moved = earlier is not None and earlier.hub.lower() != hub.lower()
        if moved or earlier is None or earlier.device_id != device_id:
            self._check_owner(registration_id, device_id, hub, now)
        registration = Registration(
            registration_id,
            device_id,
            hub,
            enrollment.group,
            "deviceDataMigrated" if moved else "initialAssignment",
            dps_bodies.etag(guid(self.random)),
            earlier.created if earlier else now,
            now,
        )
        keys = enrollment.device_keys(registration_id)
        self._store.assign(registration, Identity(hub, device_id, keys))
        return registration

    def _check_owner(self, registration_id: str, device_id: str, hub: str, now: float) -> None:
        owner = self._store.owner(hub, device_id)
        if owner and fold(owner) != fold(registration_id):
            self.tell(Refused(now, self.name, registration_id, Reason.TAKEN, "error 409001"))
            raise ServiceError(409001, "Device already exists.")

    def name_to_dial(self, hub: str) -> str:
        """Return what a device is told that was assigned to hub."""
        return self._advertise or hub
