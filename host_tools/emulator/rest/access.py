"""Access: which hub a request is for, and whether the caller may do this there.

Owns the Authorization header and the choice of the hub. Doesn't own the policies (policies.py).
As the service does, who lacks a right hears 401, no less than who has no key [seen: a policy
without ServiceConnect asks for a twin].
Source: "Control access to IoT Hub with shared access signatures".
"""

import hmac
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import HTTPConnection

from host_tools.emulator.access import AccessDenied, Reason, Token
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event, Refused
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.host_names import HostNames, without_port
from host_tools.emulator.hub.hub import Hub

_BEARER = b"bearer "


class Registry(Protocol):
    """All hubs of a cloud."""

    def hub(self, name: str) -> Hub:
        """Return a hub; ServiceError 404001."""

    def all(self) -> list[Hub]:
        """Return every hub."""


class House(Protocol):
    """What a caller wants access to; the cloud as this module sees it."""

    @property
    def hubs(self) -> Registry:
        """Return all hubs."""

    @property
    def faults(self) -> Faults:
        """Return what may go wrong on demand."""

    def tell(self, event: Event) -> None:
        """Tell everybody who listens what happened."""


@dataclass(frozen=True)
class Access:
    """Who may do what; the control token opens every hub."""

    house: House
    control_token: str

    def hub(self, request: HTTPConnection, right: str, now: float) -> Hub:
        """Return the hub that a request is for; raise ServiceError."""
        hub = self._named(request)
        if self.is_control(request):
            return hub or self._only()
        header = authorization(request)
        try:
            token = Token.parse(header)
            hub = hub or self._signer(token)
            hub.policies.check(token, names(hub.name, request), right, now)
        except AccessDenied as denied:
            self._tell(hub, header, denied.reason, now)
            raise unauthorized() from None
        return hub

    # Authorization: Bearer {control token}
    def is_control(self, request: HTTPConnection) -> bool:
        """Tell whether the caller has this cloud's control token."""
        header = authorization(request)
        token = header[len(_BEARER) :]
        return header[: len(_BEARER)].lower() == _BEARER and hmac.compare_digest(
            token, self.control_token.encode()
        )

    # /keystead/hubs/{hub}/... or Host: {hub}[:{port}]
    def _named(self, request: HTTPConnection) -> Hub | None:
        name = request.path_params.get("hub")
        if name is not None:
            return self.house.hubs.hub(name)
        host = without_port(request.headers.get("host", ""))
        return next((hub for hub in self.house.hubs.all() if hub.name.lower() == host), None)

    # one alias stands for several hubs: the key tells which one is meant
    def _signer(self, token: Token) -> Hub:
        hubs = self.house.hubs.all()
        signed = [hub for hub in hubs if hub.policies.knows(token)]
        if not (signed or hubs):
            raise AccessDenied(Reason.UNKNOWN_HUB)
        return (signed or hubs)[0]

    def _only(self) -> Hub:
        hubs = self.house.hubs.all()
        if len(hubs) != 1:
            raise ServiceError(404002, "name the hub: /keystead/hubs/{hub}/..., or as the host")
        return hubs[0]

    def _tell(self, hub: Hub | None, header: bytes, reason: Reason, now: float) -> None:
        name = hub.name if hub else "IoT Hub"
        self.house.tell(Refused(now, name, caller(header), reason, "HTTP 401"))


# the service's own name, and the one by which the caller found it
def names(own: str, request: HTTPConnection) -> HostNames:
    """Return the names of a service that a caller's token may be for."""
    host = request.headers.get("host", "")
    return HostNames(own, host, without_port(host))


def authorization(request: HTTPConnection) -> bytes:
    """Return the Authorization header, b"" without one."""
    return request.headers.get("authorization", "").encode("latin-1")


def caller(header: bytes) -> str:
    """Return what to call who sent this Authorization header, good or not."""
    try:
        return f"policy {Token.parse(header).policy}"
    except AccessDenied:
        return "a caller of its REST interface"


# a new one each time: an exception that is raised again keeps the frames of all times before, and
# with them each request
def unauthorized() -> ServiceError:
    """Return the answer to who may not do what he asks for."""
    return ServiceError(401002, "Unauthorized")
