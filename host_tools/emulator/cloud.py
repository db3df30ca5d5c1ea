"""Cloud: DPS and IoT Hub put together, for a command, a demo or a test to serve.

Owns the parts, the door by which sessions come in, and one live session per device.

    config = Config(
        id_scope="0ne00002193",
        assigning_replies=2,
        retry_after=1,
        groups=(
            EnrollmentGroup(
                "mylegacydevices", hub="test-docs-hub.azure-devices.net", keys=KeyPair(group_key)
            ),
        ),
    )
    with Cloud(config, on_event=lambda event: print(event.line())) as cloud:
        async with serve(cloud, "127.0.0.1", 0) as listener:
            ...  # listener.port, cloud.ca_pem, cloud.ca_der

Keys are bytes; what KeyPair lacks is generated. Events arrive in the loop that serves.
"""

import secrets
import ssl
import tempfile
from collections.abc import Callable, Hashable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from host_tools.emulator.access import AccessDenied, Reason
from host_tools.emulator.config import Config
from host_tools.emulator.dps.service import Dps
from host_tools.emulator.events import (
    Connected,
    Disconnected,
    Dropped,
    Event,
    Failed,
    Refused,
    Telemetry,
)
from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.when import DPS, HUB
from host_tools.emulator.host_names import RULE, dialable, is_host_name, without_port
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.mqtt.connect import (
    BAD_CLIENT_ID,
    BAD_CREDENTIALS,
    BAD_PROTOCOL,
    LEVEL,
    NOT_AUTHORIZED,
    UNAVAILABLE,
    Connect,
)
from host_tools.emulator.mqtt.peer import Peer
from host_tools.emulator.mqtt.session import ConnectRefused, Session
from host_tools.emulator.serve.certificates import CA_FILE, Certificates
from host_tools.emulator.serve.webhook import Webhooks
from host_tools.emulator.store.database import Database, StoreError
from host_tools.emulator.store.telemetry import TelemetryTable
from host_tools.emulator.time_source import SYSTEM, TimeSource
from host_tools.emulator.trace.traces import Traces
from host_tools.errors import CommandError

_CODES = {
    Reason.BAD_LEVEL: BAD_PROTOCOL,
    Reason.BAD_USERNAME: BAD_CREDENTIALS,
    Reason.BAD_CLIENT_ID: BAD_CLIENT_ID,
}


class Cloud:
    """One DPS instance and its hubs; a context manager."""

    def __init__(
        self,
        config: Config,
        *,
        on_event: Callable[[Event], None],
        state_dir: Path | None = None,
        advertise: str = "",
        keep_telemetry: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
        clock: TimeSource = SYSTEM,
    ) -> None:
        """state_dir: None for a temporary one; advertise: handed out in place of every hub.

        keep_telemetry: in the store, before it is acknowledged, which takes as long as all the
        rest of a message. clock: what all that is served goes by. Raises CommandError.
        """
        if advertise and not is_host_name(without_port(advertise)):
            raise CommandError(f"--advertise {advertise[:80]!r} is not a host name: {RULE}")
        self._listeners: tuple[Callable[[Event], None], ...] = (on_event,)
        self.advertise = advertise
        self.clock = clock
        self.faults = Faults(self.tell)
        self.traces = Traces(subscribe=self.subscribe)
        with ExitStack() as state:
            self.state_dir = state_dir or Path(
                state.enter_context(tempfile.TemporaryDirectory(prefix="keystead-"))
            )
            database = state.enter_context(closing(Database(self.state_dir)))
            self._certificates = Certificates(self.state_dir)
            try:
                self._telemetry = TelemetryTable(database) if keep_telemetry else None
                self._begin(config, database, random)
                groups, individuals = tuple(self.dps.groups()), tuple(self.dps.individuals())
            except StoreError as error:
                raise CommandError(f"can not keep state in {self.state_dir}: {error}") from None
            self.config = replace(config, groups=groups, individuals=individuals)
            self._state = state.pop_all()
        self._live: dict[Hashable, Session] = {}

    def _begin(self, config: Config, database: Database, random: Callable[[int], bytes]) -> None:
        self.hubs = Hubs(
            config.hubs, database, self.tell, self.advertise, random, telemetry=self._telemetry
        )
        self.dps = Dps(
            config,
            database,
            self.hubs,
            self.tell,
            random,
            now=self.clock.time(),
            tick=self.clock.monotonic(),
            advertise=self.advertise,
            call_webhook=Webhooks(),
            hub_for=self.faults.hub_for,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the state."""
        self._state.close()

    def tell(self, event: Event) -> None:
        """Tell everybody who listens what happened."""
        for listener in self._listeners:
            listener(event)

    def earlier_telemetry(self) -> list[Telemetry]:
        """Return the last messages that are kept, the oldest first; raise StoreError."""
        return self._telemetry.all() if self._telemetry else []

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Let one more hear of every event; return what ends that. Nobody may wait in it."""
        self._listeners += (listener,)

        def unsubscribe() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unsubscribe

    @property
    def ca_path(self) -> Path:
        """Return the file in the state directory with the certificate a client must trust."""
        return self.state_dir / CA_FILE

    @property
    def ca_pem(self) -> bytes:
        """Return the certificate a client must trust, as PEM."""
        return self._certificates.ca_pem

    @property
    def ca_der(self) -> bytes:
        """Return the certificate a client must trust, as DER."""
        return self._certificates.ca_der

    def tls_context(self, host: str) -> ssl.SSLContext:
        """Return the context to serve with on host."""
        return self._certificates.context(self._names(host))

    def faulty_tls_context(self, host: str, flaw: Kind) -> ssl.SSLContext:
        """Return the same with one thing wrong."""
        return self._certificates.faulty_context(self._names(host), flaw)

    def _names(self, host: str) -> list[str]:
        names = [host, dialable(host), without_port(self.advertise), *self.config.hubs]
        return [name for name in names if name]

    def admit(self, connect: Connect, session: Session, now: float) -> Peer:
        """Return the peer that may come in; an older one with its key goes first.

        Raises ConnectRefused; whoever is refused disturbs nobody.
        """
        try:
            if connect.level != LEVEL:
                raise AccessDenied(Reason.BAD_LEVEL)
            service = self._service(connect)
            kind = DPS if service is self.dps else HUB
            checked = self.faults.clock(kind, connect.client_id, now)
            peer = service.connect(connect, checked)
        except AccessDenied as denied:
            code = _CODES.get(denied.reason, NOT_AUTHORIZED)
            name = self._service(connect).name
            self.tell(Refused(now, name, connect.client_id, denied.reason, f"CONNACK {code}"))
            raise ConnectRefused(code) from None
        except StoreError as error:
            name, why = self._service(connect).name, f"its identity can not be read: {error}"
            self.tell(Failed(now, name, connect.client_id, why, f"CONNACK {UNAVAILABLE}"))
            raise ConnectRefused(UNAVAILABLE) from None
        older = self._live.get(peer.key)
        if older:
            older.close("the same device connected again", now)
        if peer.key:
            self._live[peer.key] = session
        self.tell(Connected(now, peer.service, peer.device_id, peer.api_version))
        return peer

    def _service(self, connect: Connect) -> Dps | Hubs:
        return self.dps if "/registrations/" in (connect.username or "") else self.hubs

    def expire(self, now: float, tick: float) -> None:
        """Give up what waited too long, whoever's it is; called every quarter of a second."""
        self.hubs.expire(now, tick)
        self.dps.expire(now, tick)

    def leave(self, session: Session, peer: Peer | None, why: str, now: float) -> None:
        """Note that a session ended."""
        if peer is None:
            self.tell(Dropped(now, session.address, why))
            return
        if self._live.get(peer.key) is session:
            del self._live[peer.key]
        self.tell(Disconnected(now, peer.service, peer.device_id, why))
