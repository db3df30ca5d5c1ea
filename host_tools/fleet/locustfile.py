"""Locustfile: one Locust user is one device, for a fleet from many machines.

  locust -f host_tools/fleet/locustfile.py --host 127.0.0.1:8883 \\
      --fleet-config cloud.toml --fleet-ca ca.pem --headless -u 100 -r 20 -t 1m

Owns what Locust is told: the time of each registration, connection and message, and what failed.
What a device says is the same as in `keystead fleet`. A device whose connection broke tries again
when its next message is due. How to run it from many machines: docs/scale.md.
"""

import functools
import itertools
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locust import User, events, task  # type: ignore[import-not-found, unused-ignore]

from host_tools.emulator.config_file import load
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.fleet import plan as plans
from host_tools.fleet import tls
from host_tools.fleet.blocking_line import BlockingLine
from host_tools.fleet.conversation import Conversation
from host_tools.fleet.place import Place, resolved
from host_tools.fleet.stay import Stay
from host_tools.fleet.visit import Visit
from keystead.failure import Failure

_HOST = "127.0.0.1:8883"
_numbers = itertools.count(1)  # of this process; its worker index goes before them


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator, unused-ignore]
def _add_arguments(parser: Any, **_: object) -> None:
    """Declare what Locust does not know; a worker takes the master's values."""
    group = parser.add_argument_group("Keystead")
    group.add_argument("--fleet-config", default="cloud.toml", help="the cloud's cloud.toml")
    group.add_argument("--fleet-ca", default="", help="trust these roots; default: ca.pem beside")
    group.add_argument("--fleet-group", default="", help="enrollment group; default: the first")
    group.add_argument("--fleet-prefix", default=plans.PREFIX, help="registration IDs begin so")
    group.add_argument("--fleet-every", type=float, default=1.0, help="seconds between messages")


@dataclass(frozen=True)
class Crew:
    """What all devices of this process share."""

    group: EnrollmentGroup
    plan: plans.Plan
    place: Place
    context: ssl.SSLContext
    every: float


@functools.cache
def _crew(config_file: Path, ca: str, group_name: str, host: str, every: float) -> Crew:
    config = load(config_file)
    group = plans.choose_group(config, group_name, str(config_file))
    # nothing is said between two messages: the hub is to expect no more
    keep_alive = max(plans.Plan.keep_alive, int(3 * every))
    plan = plans.Plan(config.id_scope, plans.home(config, group), keep_alive=keep_alive)
    roots = tls.trusting(Path(ca) if ca else config_file.parent / "ca.pem")
    return Crew(group, plan, resolved(host, "--host"), roots, every)


class Device(User):  # type: ignore[misc, unused-ignore]
    """One device: it registers, connects and sends telemetry until it is told to stop."""

    def on_start(self) -> None:
        """Choose a name that no other device has, on whichever machine."""
        options = self.environment.parsed_options
        self._crew = _crew(
            Path(options.fleet_config), options.fleet_ca, options.fleet_group,
            self.environment.host or _HOST, options.fleet_every,
        )  # fmt: skip
        worker = max(self.environment.runner.worker_index, 0)
        name = f"{options.fleet_prefix}{worker}-{next(_numbers)}"
        self._member = plans.member(self._crew.group, name)
        self._at: tuple[str, str] | None = None
        self._stay: Stay | None = None
        self._line: BlockingLine | None = None

    def on_stop(self) -> None:
        """Say goodbye."""
        if self._line and self._stay:
            with suppress(Failure):
                self._line.send(self._stay.leave())
        self._hang_up()

    def wait_time(self) -> float:
        """Return the seconds to the next message: a fleet does not speak in one breath."""
        return self._crew.every * random.uniform(0.5, 1.5)

    @task
    def live(self) -> None:
        """Go on: ask for a hub, connect there, send a message, as far as it works."""
        try:
            if self._at is None:
                self._timed("DPS", "register", self._register)
            if self._stay is None:
                self._timed("hub", "connect", self._connect)
            self._timed("hub", "publish", self._publish)
        except Failure:
            self._hang_up()

    def _register(self) -> None:
        visit = Visit(self._crew.plan, self._member, random.random)
        self._open(visit).until(visit.is_over)
        assert visit.assignment is not None
        self._at = (visit.assignment.hub, visit.assignment.device_id)

    def _connect(self) -> None:
        assert self._at is not None
        stay = Stay(self._crew.plan, self._member, self._at)
        self._open(stay).until(stay.is_connected)
        self._stay = stay

    def _publish(self) -> None:
        assert self._line is not None
        assert self._stay is not None
        self._line.send(self._stay.talk(1, 0, time.monotonic()))
        self._line.until(self._stay.is_silent)

    def _open(self, conversation: Conversation) -> BlockingLine:
        self._line = BlockingLine(conversation, self._crew.context)
        self._line.open(self._crew.place)
        return self._line

    def _hang_up(self) -> None:
        if self._line:
            self._line.close()
        self._line = self._stay = None

    def _timed(self, kind: str, name: str, step: Callable[[], None]) -> None:
        failure: Failure | None = None
        began = time.perf_counter()
        try:
            step()
        except Failure as error:
            failure = error
            raise
        finally:
            self.environment.events.request.fire(
                request_type=kind,
                name=name,
                response_time=(time.perf_counter() - began) * 1000,
                response_length=0,
                exception=failure,
                context={},
            )
