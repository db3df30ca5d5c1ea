"""Enrollments of one kind over the DPS service's REST API: one by one, ten at once, or all.

Owns bodies and headers. Doesn't own addresses and rights (dps_service.py), nor what may be done
(dps/enrollments.py). Keys are in the answer to a change, and to the question for them: in no
other.
Sources: DPS REST API, 2021-10-01; answers of the service recorded in the tests of
azure-iot-deviceprovisioning.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from host_tools.emulator.dps import bodies, documents, json_fields
from host_tools.emulator.dps.enrollment import Enrollment, EnrollmentGroup, fold
from host_tools.emulator.dps.json_fields import Json, mistake
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.rest.dps_calls import House, body_of, no_content, shown
from host_tools.emulator.rest.dps_pages import page_of

_BULK = 10
_MODES = ("create", "update", "updateIfMatchETag", "delete")


class Enrollments:
    """Enrollments of one kind."""

    def __init__(self, house: House, kind: type[Enrollment], key: str, item_type: str) -> None:
        """key: the name's field; item_type: what a page of them is called."""
        self._house = house
        self._kind = kind
        self._key = key
        self._item_type = item_type
        self._all = house.dps.enrollments

    async def get(self, request: Request, now: float) -> Response:
        """Answer GET /enrollments/{name}."""
        one = self._all.get(self._kind, request.path_params["name"])
        return self._shown(documents.document(one, state=self._state(one)), one.etag)

    async def put(self, request: Request, now: float) -> Response:
        """Answer PUT /enrollments/{name}."""
        written = json_fields.parse(await body_of(request))
        one = self._read(written, request.path_params["name"])
        kept = self._all.put(one, now, request.headers.get("if-match"))
        return self._shown(documents.document(kept, show_keys=True), kept.etag)

    async def delete(self, request: Request, now: float) -> Response:
        """Answer DELETE /enrollments/{name}."""
        if_match = request.headers.get("if-match", "*")
        self._all.delete(self._kind, request.path_params["name"], if_match)
        return no_content(self._house)

    async def mechanism(self, request: Request, now: float) -> Response:
        """Answer POST /enrollments/{name}/attestationmechanism."""
        one = self._all.get(self._kind, request.path_params["name"])
        return shown(self._house, documents.attestation(one.keys))

    async def query(self, request: Request, now: float) -> Response:
        """Answer POST /enrollments/query."""

        def page(after: str, count: int) -> Sequence[Enrollment]:
            return self._all.page(self._kind, after, count)

        return await page_of(
            self._house, request, self._item_type, page, documents.document, lambda one: one.name
        )

    async def bulk(self, request: Request, now: float) -> Response:
        """Answer POST /enrollments."""
        body = json_fields.fields(json_fields.parse(await body_of(request)), "the body")
        mode = json_fields.choice(body, "mode", _MODES, "")
        if not mode:
            raise mistake(f"mode is missing: one of {', '.join(_MODES)}")
        errors = []
        for name, item in self._items(body):
            try:
                self._change(mode, name, item, now)
            except ServiceError as error:
                status = {"errorCode": error.code, "errorStatus": str(error)}
                errors.append({self._key: name, **status})
        return shown(self._house, {"errors": errors, "isSuccessful": not errors})

    def _items(self, body: Json) -> list[tuple[str, Json]]:
        field = "enrollmentGroups" if self._kind is EnrollmentGroup else "enrollments"
        items = body.get(field)
        if not isinstance(items, list) or not 1 <= len(items) <= _BULK:
            raise mistake(f"{field} must be a list of 1 to {_BULK}")
        named = []
        for item in items:
            name = json_fields.text(json_fields.fields(item, field), self._key)
            if not name:
                raise mistake(f"{self._key} is missing")
            named.append((name, item))
        if len({fold(name) for name, _ in named}) < len(named):
            raise ServiceError(400206, f"{self._key} is defined multiple times.")
        return named

    # the service was seen to take an update without an etag for a conflict
    def _change(self, mode: str, name: str, item: Json, now: float) -> None:
        etag = json_fields.text(item, "etag") or None
        if mode == "delete":
            self._all.delete(self._kind, name, etag or "*")
            return
        if mode == "updateIfMatchETag" and not etag:
            raise mistake("etag is missing")
        if mode != "create":
            self._all.get(self._kind, name)
        self._all.put(self._read(item, name), now, None if mode == "create" else etag)

    def _read(self, written: Any, name: str) -> Enrollment:
        return documents.BY_KIND[self._kind.kind](written, name)

    def _state(self, one: Enrollment) -> Json | None:
        if isinstance(one, EnrollmentGroup):
            return None
        try:
            return bodies.state(self._house.dps.registration(one.name))
        except ServiceError:
            return bodies.unassigned(one.name)

    def _shown(self, document: Json, etag: str) -> Response:
        return shown(self._house, document, {"ETag": f'"{etag}"'})
