"""App: the portal put together as routes of an HTTP app, without a socket.

Owns which handler answers which address, and what every page has in common. Doesn't own a page
(pages/), who may look (guard.py) nor the server.

    portal = Portal(cloud, host="127.0.0.1", endpoint="localhost:8883")
    app = Starlette(routes=portal.routes())
    ...  # portal.close() when the server stops: it ends the streams of open pages
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import cast
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.portal import forms
from host_tools.emulator.portal.contents import PAGES
from host_tools.emulator.portal.desk import Action, Attempt, Desk, Facts, Page, Query, Reveal, url
from host_tools.emulator.portal.forms import FormError
from host_tools.emulator.portal.guard import ROOT, Guard, Session, Turned, session_of
from host_tools.emulator.portal.live import MOST, View, Viewers
from host_tools.emulator.portal.render import FOLDER, Renderer
from host_tools.emulator.store.database import StoreError

HIDDEN_AFTER = 30  # seconds that a key is shown


def routes(
    cloud: Cloud,
    *,
    host: str = "127.0.0.1",
    token: str = "",
    names: Iterable[str] = (),
    endpoint: str = "localhost:8883",
) -> Sequence[BaseRoute]:
    """Return the portal's routes; see Portal."""
    return Portal(cloud, host=host, token=token, names=names, endpoint=endpoint).routes()


class Portal:
    """All pages of one cloud."""

    def __init__(
        self,
        cloud: Cloud,
        *,
        host: str = "127.0.0.1",
        token: str = "",
        names: Iterable[str] = (),
        endpoint: str = "localhost:8883",
        desk: Desk | None = None,
    ) -> None:
        """host: listened on; token: needed unless that is loopback; names: others of this host.

        endpoint: where devices dial. Raises CommandError.
        """
        self.desk = desk or Desk(cloud, endpoint)
        self._render = Renderer(self.desk.clock)
        self._viewers = Viewers(self.desk.memory)
        self._end = cloud.subscribe(self.desk.memory.take)
        self._pages = {page.path: page for page in PAGES}
        self._guard = Guard(self._app(), self._turned_page, host, token, names)

    def routes(self) -> list[BaseRoute]:
        """Return what to put into an HTTP app."""
        return [
            Route("/", _to_root),
            Route("/favicon.ico", _to_icon),  # browsers ask for it beside what is no page
            Route(ROOT, _to_root),
            Mount(ROOT, app=self._guard),
        ]

    def close(self) -> None:
        """End the streams of open pages, and listen to the cloud no more."""
        self._viewers.close()
        self._end()

    def _app(self) -> Starlette:
        found: list[BaseRoute] = [
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
            Route("/ca.pem", self._ca),
            Route("/events", self._events),
        ]
        for page in PAGES:
            found.append(Route(page.path, partial(self._show, page)))
            base = page.path.rstrip("/")
            for name, action in page.actions.items():
                do = partial(self._act, page, name, action)
                found.append(Route(f"{base}/{name}", do, methods=["POST"]))
            for name, reveal in page.reveals.items():
                do = partial(self._reveal, page, name, reveal)
                found.append(Route(f"{base}/{name}", do, methods=["POST"]))
        return Starlette(
            routes=found,
            exception_handlers={
                Turned: self._turned,
                ServiceError: self._refused,
                StoreError: self._refused,
                HTTPException: self._no_page,
            },
        )

    async def _show(self, page: Page, request: Request) -> Response:
        session, query = session_of(request), dict(request.query_params)
        notices = self.desk.notices.take(session.name)
        return self._answer(page, query, session, notices=notices)

    async def _act(self, page: Page, name: str, action: Action, request: Request) -> Response:
        form, session = await forms.read(request), session_of(request)
        query = dict(request.query_params)
        try:
            outcome = action(self.desk, query, form)
        except (FormError, ServiceError) as error:
            attempts = {name: Attempt(form, error)}
            return self._answer(page, query, session, error.status, attempts=attempts)
        if outcome.notice:
            self.desk.notices.add(session.name, outcome.notice)
        return RedirectResponse(outcome.location, 303)

    # the answer to a form, never to a link: no browser keeps it, and it leaves by itself
    async def _reveal(self, page: Page, name: str, reveal: Reveal, request: Request) -> Response:
        await forms.read(request)
        query, session = dict(request.query_params), session_of(request)
        secrets = reveal(self.desk, query)
        if request.headers.get("x-keystead-part"):
            return HTMLResponse(self._render.page("secrets.html", {"secrets": secrets}))
        answer = self._answer(page, query, session, revealed={name: secrets})
        answer.headers["Refresh"] = f"{HIDDEN_AFTER}; url={url(page.path, **query)}"
        return answer

    def _answer(
        self, page: Page, query: Query, session: Session, status: int = 200, **more: object
    ) -> Response:
        facts = {**self._facts(page, query, session), **more}
        return HTMLResponse(self._render.page(page.template, facts), status)

    def _facts(self, page: Page, query: Query, session: Session) -> Facts:
        return {
            **self._common(session),
            "path": page.path,
            "view": url(page.path, **query),
            "query": query,
            **page.facts(self.desk, query),
        }

    def _common(self, session: Session) -> Facts:
        cloud = self.desk.cloud
        return {
            "form_token": session.form_token,
            "hubs": sorted(hub.name for hub in cloud.hubs.all()),
            "attempts": {},
            "notices": (),
            "revealed": {},
            "hidden_after": HIDDEN_AFTER,
            "endpoint": self.desk.endpoint,
            "id_scope": cloud.dps.id_scope,
        }

    async def _events(self, request: Request) -> Response:
        if self._viewers.count >= MOST:
            raise Turned(503, f"{MOST} pages are kept up to date already: close some.")
        session = session_of(request)
        page, query = self._viewed(request.query_params.get("view", ""))

        def parts() -> Iterator[tuple[str, str]]:
            facts = self._facts(page, query, session)
            return self._render.parts(page.template, facts)

        stream = self._viewers.follow(View(parts))
        return StreamingResponse(stream, media_type="text/event-stream")

    # {ROOT}{path}?{name}={value}&...
    def _viewed(self, view: str) -> tuple[Page, Query]:
        path, _, query = view.partition("?")
        page = self._pages.get(path.removeprefix(ROOT)) if path.startswith(ROOT) else None
        if page is None:
            raise HTTPException(404)
        return page, dict(parse_qsl(query))

    async def _ca(self, request: Request) -> Response:
        return Response(
            self.desk.cloud.ca_pem,
            media_type="application/x-pem-file",
            headers={"Content-Disposition": 'attachment; filename="ca.pem"'},
        )

    async def _turned(self, request: Request, error: Exception) -> Response:
        return self._turned_page(cast(Turned, error))

    def _turned_page(self, turned: Turned) -> Response:
        text = self._render.page("turned.html", {"status": turned.status, "message": turned})
        return HTMLResponse(text, turned.status)

    async def _refused(self, request: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, ServiceError) else 500
        code = error.code if isinstance(error, ServiceError) else 500001
        return self._sorry(request, status, f"{error} ({code})")

    async def _no_page(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return self._sorry(request, status, "There is no such page.")

    def _sorry(self, request: Request, status: int, message: str) -> Response:
        if "session" not in request.scope:  # a static file
            return self._turned_page(Turned(status, message))
        facts = {**self._common(session_of(request)), "path": "", "view": "", "message": message}
        return HTMLResponse(self._render.page("sorry.html", facts), status)


async def _to_root(request: Request) -> Response:
    return RedirectResponse(f"{ROOT}/", 303)


async def _to_icon(request: Request) -> Response:
    return RedirectResponse(f"{ROOT}/static/favicon.svg", 303)
