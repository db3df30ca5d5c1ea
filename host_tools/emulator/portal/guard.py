"""Guard: who may look at the portal, and that nobody acts in a visitor's name.

Owns the token, the session cookie, the checks of Host, Origin and Sec-Fetch-Site, and the headers
that every answer carries. Doesn't own the form's own token: forms.py reads it, Session checks it.

On a loopback address whoever reaches the port may come in, as with the other services there; what
is kept out are pages of other origins in the same browser (DNS rebinding, forged forms).
Sources: RFC 6265bis (cookies), "Fetch Metadata Request Headers", "Content Security Policy 3".
"""

import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host_tools.errors import CommandError

ROOT = "/portal"
_STATIC = f"{ROOT}/static/"
_METHODS = ("GET", "HEAD", "POST")
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # not "no-referrer": browsers would then send forms with "Origin: null"
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# {name or address}[:{port}]
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens on host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def token_for(host: str) -> str:
    """Return what a visitor must know of a portal that listens on host: "" on loopback."""
    return "" if is_loopback(host) else secrets.token_urlsafe(32)


# https://{host}:{port}/portal/[?token={token}]
def address(host: str, port: int, token: str = "", scheme: str = "https") -> str:
    """Return what to open in a browser; with a token it is a secret."""
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}{ROOT}/" + (f"?token={token}" if token else "")


@dataclass(frozen=True, slots=True)
class Session:
    """One visitor's browser."""

    name: str
    form_token: str = field(repr=False)

    def owns(self, token: str) -> bool:
        """Tell whether a form with this token came from a page of this session."""
        return _same(token, self.form_token)


class Turned(Exception):
    """The visitor is turned away: a status, and a sentence that says what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """Stands before the portal's pages as ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        refuse: Callable[[Turned], Response],
        host: str,
        token: str = "",
        names: Iterable[str] = (),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """refuse: makes the page for who is turned away; host: listened on; names: others of it.

        Raises CommandError.
        """
        if not token and not is_loopback(host):
            raise CommandError(f"the portal on {host} needs a token: others reach it there")
        self._app = app
        self._refuse = refuse
        self._token = token
        self._names = {
            name.strip("[]").lower() for name in ("localhost", "127.0.0.1", "::1", host, *names)
        }
        self._secret = random(32)
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":  # no web-socket leads anywhere
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = [*_HEADERS.items(), ("Cache-Control", _caching(scope["path"]))]
        try:
            app, cookie = self._admit(Request(scope))
            if cookie:
                headers.append(("Set-Cookie", cookie))
        except Turned as turned:
            app = self._refuse(turned)
        await app(scope, receive, _with(headers, send))

    # the app that answers, and the cookie to set
    def _admit(self, request: Request) -> tuple[ASGIApp, str]:
        host, port = self._host(request)
        if request.method not in _METHODS:
            raise Turned(405, "The portal knows GET and POST.")
        if request.method == "POST":
            _check_origin(request, host)
        if request.scope["path"].startswith(_STATIC):
            return self._app, ""
        # cookies know no ports: two clouds on one machine must not take each other's away
        cookie = f"keystead-portal-{port}"
        name = self._known(request.cookies.get(cookie, ""))
        if name:
            return self._into(request, name), ""
        name = self._random(16).hex()
        secure = "; Secure" if request.scope["scheme"] == "https" else ""
        value = f"{name}.{self._mac('in', name)}"
        setting = f"{cookie}={value}; Path={ROOT}; HttpOnly; SameSite=Strict{secure}"
        return self._first_visit(request, name), setting

    # behind a token a foreign name helps nobody: the cookie is bound to the name it was given for
    def _host(self, request: Request) -> tuple[str, str]:
        host = request.headers.get("host", "")
        match = _HOST.fullmatch(host)
        if not match:
            raise Turned(400, "The request names no host.")
        if not self._token and match[1].strip("[]").lower() not in self._names:
            raise Turned(421, "The portal is not served under this name: open it as localhost.")
        return host.lower(), match[2] or "0"

    def _known(self, cookie: str) -> str:
        name, _, mac = cookie.partition(".")
        return name if _same(mac, self._mac("in", name)) else ""

    def _into(self, request: Request, name: str) -> ASGIApp:
        request.scope["session"] = Session(name, self._mac("form", name))
        return self._app

    def _first_visit(self, request: Request, name: str) -> ASGIApp:
        if not self._token:
            if request.method == "POST":
                raise Turned(403, "This page is from an earlier run of the cloud: reload it.")
            return self._into(request, name)
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
        if request.method == "POST" or not _same(query.get("token", ""), self._token):
            raise Turned(
                401,
                "This portal is for those who have its link: open the one with ?token= in it"
                " that `keystead cloud --show-keys` prints when it starts.",
            )
        # a redirect would come without the cookie if the link was in a page of another origin; a
        # page that refreshes itself is our own, and takes the link out of the browser's history
        return Response(headers={"Refresh": f"0; url={ROOT}/"})

    def _mac(self, what: str, name: str) -> str:
        return hmac.digest(self._secret, f"{what} {name}".encode(), "sha256").hex()


def session_of(request: Request) -> Session:
    """Return whose request the guard let through."""
    return cast(Session, request.scope["session"])


def _check_origin(request: Request, host: str) -> None:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = site not in (None, "same-origin") or (
        origin is not None and origin.lower() != f"{request.scope['scheme']}://{host}"
    )
    if foreign or (site is None and origin is None):
        raise Turned(403, "This form was not sent from a page of the portal.")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


def _caching(path: str) -> str:
    return "no-cache" if path.startswith(_STATIC) else "no-store"


def _with(headers: list[tuple[str, str]], send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = MutableHeaders(scope=message)
            for name, value in headers:
                answer[name] = value
        await send(message)

    return sending
