"""DPS: one instance of the service, put together.

Owns who gets in, and what programs and people may ask of it: enrollments and registration
records. Doesn't own what devices ask (registrar.py) nor the ways to it: peer.py for MQTT, rest/
for HTTPS.
Source: "Communicate with DPS using the MQTT protocol".
"""

import re
from collections.abc import Callable

from host_tools.emulator import etags
from host_tools.emulator.access import AccessDenied, Reason, Resource, Token, check
from host_tools.emulator.config import Config
from host_tools.emulator.dps import seeds
from host_tools.emulator.dps.assignment import SERVICE, Assigner, Hubs
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, Webhook
from host_tools.emulator.dps.enrollments import Enrollments
from host_tools.emulator.dps.json_fields import Json
from host_tools.emulator.dps.operations import Operations
from host_tools.emulator.dps.peer import DpsPeer
from host_tools.emulator.dps.registrar import Caller, Registrar
from host_tools.emulator.dps.throttle import Throttle
from host_tools.emulator.dps.webhook import Outcome, WebhookFailure
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.policies import OF_DPS, Policies
from host_tools.emulator.records import Registration
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.enrollments import EnrollmentTable
from host_tools.emulator.store.registrations import RegistrationTable
from keystead import registration_id as registration_ids

_POLICIES = ("", "registration")
# {ID scope}/registrations/{registration ID}/api-version={date}[&ClientVersion={text}]
_USERNAME = re.compile(rf"([^/]+)/registrations/([^/]+)/api-version=({API_VERSION})(?:&.*)?")


def _nobody(webhook: Webhook, body: Json, done: Callable[[Outcome], None]) -> None:
    done(WebhookFailure("Custom allocation failed: nothing here can call a web-hook"))


class Dps:
    """One DPS instance, fed with CONNECTs and calls."""

    name = SERVICE

    def __init__(
        self,
        config: Config,
        database: Database,
        hubs: Hubs,
        tell: Callable[[Event], None],
        random: Callable[[int], bytes],
        now: float,
        tick: float,
        advertise: str = "",
        call_webhook: Callable[[Webhook, Json, Callable[[Outcome], None]], None] = _nobody,
        hub_for: Callable[[str, float], str | None] = lambda registration_id, now: None,
    ) -> None:
        """advertise: the name handed out instead of the assigned hub's own, "" for none.

        call_webhook: asks a web-hook, and gives its answer to the third argument, once, now or
        later. hub_for: a hub that a registration must lead to, whatever its enrollment says.
        Raises StoreError.
        """
        self.id_scope = config.id_scope
        self.random = random
        self.host = config.dps_host
        self.linked_hubs = config.linked
        self.policies = Policies(config.id_scope, OF_DPS, database, random)
        self._refuse_at_connect = config.refuse_at == "connect"
        self._records = RegistrationTable(database)
        table = EnrollmentTable(database)
        with database.transaction():
            seeds.apply([*config.groups, *config.individuals], table, random, now)
        self.enrollments = Enrollments(table, {hub.lower() for hub in config.linked}, random)
        self.registrar = Registrar(
            self.enrollments,
            Operations(config.assigning_replies, random),
            Assigner(
                database, self._records, hubs, config.network, tell, random,
                lambda hub: advertise or hub, hub_for,
            ),
            Throttle() if config.throttle else None,
            call_webhook,
            config.retry_after,
            tick,
        )  # fmt: skip

    def expire(self, now: float, tick: float) -> None:
        """Look at the clock: to be called now and then."""
        self.registrar.expire(tick)

    def connect(self, connect: Connect, now: float) -> DpsPeer:
        """Return the peer; raise AccessDenied, StoreError.

        A bad token is refused here (refuse_at = "connect") or, as the real service was seen to
        do, only when the device asks to register.
        """
        match = _USERNAME.fullmatch(connect.username or "")
        if not match:
            raise AccessDenied(Reason.BAD_USERNAME)
        id_scope, registration_id, api_version = match.groups()
        if connect.client_id != registration_id:
            raise AccessDenied(Reason.BAD_CLIENT_ID)
        caller = self.caller(id_scope, registration_id, api_version, connect.password, now)
        if caller.refusal and self._refuse_at_connect:
            raise AccessDenied(caller.refusal)
        return DpsPeer(self.registrar, caller)

    def caller(
        self,
        id_scope: str,
        registration_id: str,
        api_version: str,
        password: bytes | None,
        now: float,
    ) -> Caller:
        """Return who it is that asks, refused or not; password: a SAS token."""
        caller = Caller(registration_id, api_version)
        try:
            caller.token = self._check(id_scope, registration_id, password, now)
            self.registrar.admit(caller)
        except AccessDenied as denied:
            caller.refusal = denied.reason
        return caller

    # {ID scope}/registrations/{registration ID}
    def _check(
        self, id_scope: str, registration_id: str, password: bytes | None, now: float
    ) -> Token:
        try:
            registration_ids.check(registration_id, wide=True)
        except registration_ids.InvalidRegistrationID:
            raise AccessDenied(Reason.BAD_REGISTRATION_ID) from None
        ours = self.id_scope.lower()
        if id_scope.lower() != ours:
            raise AccessDenied(Reason.UNKNOWN_SCOPE)
        token = Token.parse(password)
        check(token, Resource({ours}, ("registrations", registration_id)), now, _POLICIES)
        return token

    # enrollments: all of these raise StoreError

    def groups(self) -> list[EnrollmentGroup]:
        """Return all enrollment groups by name."""
        return list(self.enrollments.groups())

    def individuals(self) -> list[IndividualEnrollment]:
        """Return all individual enrollments by registration ID."""
        return self.enrollments.page(IndividualEnrollment)

    def group(self, name: str) -> EnrollmentGroup:
        """Return a group; ServiceError 404201."""
        return self.enrollments.get(EnrollmentGroup, name)

    def individual(self, registration_id: str) -> IndividualEnrollment:
        """Return an individual enrollment; ServiceError 404201."""
        return self.enrollments.get(IndividualEnrollment, registration_id)

    def put_group(
        self, group: EnrollmentGroup, now: float, if_match: str | None = None
    ) -> EnrollmentGroup:
        """Keep a group and return it as it is kept; ServiceError.

        if_match: the etag of the one that is to be changed, "*" for any; None: it must be new.
        """
        return self.enrollments.put(group, now, if_match)

    def put_individual(
        self, individual: IndividualEnrollment, now: float, if_match: str | None = None
    ) -> IndividualEnrollment:
        """Keep an individual enrollment, as put_group()."""
        return self.enrollments.put(individual, now, if_match)

    def delete_group(self, name: str, if_match: str = "*") -> None:
        """Delete a group: its members are refused from now on; their records stay."""
        self.enrollments.delete(EnrollmentGroup, name, if_match)

    def delete_individual(self, registration_id: str, if_match: str = "*") -> None:
        """Delete an individual enrollment: a group may admit its device from now on."""
        self.enrollments.delete(IndividualEnrollment, registration_id, if_match)

    # registration records: all of these raise StoreError

    def registrations(
        self, group: str | None = None, after: str = "", count: int = -1
    ) -> list[Registration]:
        """Return records by registration ID: of a group or all, from one on, at most count."""
        return self._records.page(group, after, count)

    def registration(self, registration_id: str) -> Registration:
        """Return a device's record; ServiceError 404202."""
        record = self._records.get(registration_id)
        if record is None:
            raise ServiceError(404202, "Registration not found.")
        return record

    def delete_registration(self, registration_id: str, if_match: str = "*") -> None:
        """Delete a record: for DPS, the device's next registration is its first."""
        etags.check(if_match, self.registration(registration_id).etag)
        self._records.delete(registration_id)
