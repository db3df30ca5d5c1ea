"""The DPS service's REST API, for programs: its addresses, and who may do what there.

    GET, PUT, DELETE /enrollments/{registration ID}       the same with /enrollmentGroups/{name}
    POST /enrollments/{registration ID}/attestationmechanism   the only reading with keys
    POST /enrollments/query                               x-ms-max-item-count, x-ms-continuation
    POST /enrollments                                     at most ten at once
    GET, DELETE /registrations/{registration ID}          records of devices that registered
    POST /registrations/{enrollment group}/query

Owns addresses, rights, and the handlers of registration records. Doesn't own enrollments
(dps_enrollments.py).
Sources: DPS REST API, 2021-10-01; "Control access to DPS with shared access signatures".
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from host_tools.emulator.access import AccessDenied, Token
from host_tools.emulator.dps import bodies
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Refused
from host_tools.emulator.faults import when
from host_tools.emulator.policies import (
    ENROLLMENT_READ,
    ENROLLMENT_WRITE,
    STATUS_READ,
    STATUS_WRITE,
)
from host_tools.emulator.rest.access import authorization, caller, names
from host_tools.emulator.rest.dps_calls import (
    Handler,
    House,
    failed,
    no_content,
    route,
    shown,
    version,
)
from host_tools.emulator.rest.dps_enrollments import Enrollments
from host_tools.emulator.rest.dps_pages import page_of
from host_tools.emulator.rest.troubles import befall


def routes(house: House) -> list[BaseRoute]:
    """Return the routes of the service's API."""
    individuals = Enrollments(house, IndividualEnrollment, "registrationId", "Enrollment")
    groups = Enrollments(house, EnrollmentGroup, "enrollmentGroupId", "EnrollmentGroup")
    return [
        *_of_enrollments(house, "/enrollments", individuals),
        *_of_enrollments(house, "/enrollmentGroups", groups),
        *_of_records(house),
    ]


def _of_enrollments(house: House, path: str, those: Enrollments) -> list[BaseRoute]:
    def may(right: str, handler: Handler) -> Handler:
        return _guarded(house, right, handler)

    query = may(ENROLLMENT_READ, those.query)

    async def post(request: Request, now: float) -> Response:
        if request.path_params["name"].lower() != "query":
            raise ServiceError(405000, "This method is not for this address.")
        return await query(request, now)

    return [
        route(house, path, POST=may(ENROLLMENT_WRITE, those.bulk)),
        route(
            house,
            path + "/{name}",
            GET=may(ENROLLMENT_READ, those.get),
            PUT=may(ENROLLMENT_WRITE, those.put),
            DELETE=may(ENROLLMENT_WRITE, those.delete),
            POST=post,
        ),
        route(
            house,
            path + "/{name}/attestationmechanism",
            POST=may(ENROLLMENT_READ, those.mechanism),
        ),
    ]


def _of_records(house: House) -> list[BaseRoute]:
    async def get(request: Request, now: float) -> Response:
        record = house.dps.registration(request.path_params["name"])
        return shown(house, bodies.state(record), {"ETag": f'"{record.etag}"'})

    async def delete(request: Request, now: float) -> Response:
        if_match = request.headers.get("if-match", "*")
        house.dps.delete_registration(request.path_params["name"], if_match)
        return no_content(house)

    async def query(request: Request, now: float) -> Response:
        group = request.path_params["name"]
        return await page_of(
            house,
            request,
            "DeviceRegistration",
            lambda after, count: house.dps.registrations(group, after, count),
            bodies.state,
            lambda record: record.registration_id,
        )

    return [
        route(
            house,
            "/registrations/{name}",
            GET=_guarded(house, STATUS_READ, get),
            DELETE=_guarded(house, STATUS_WRITE, delete),
        ),
        route(house, "/registrations/{name}/query", POST=_guarded(house, STATUS_READ, query)),
    ]


# handler for callers that have right, with the faults that are to befall them
def _guarded(house: House, right: str, handler: Handler) -> Handler:
    async def guarded(request: Request, now: float) -> Response:
        name = str(request.path_params.get("name", ""))
        version(request)
        _check_access(house, request, right, now, house.faults.clock(when.REST, name, now))
        trouble = house.faults.request(when.REST, name, when.REQUEST, now)
        if trouble is None:
            return await handler(request, now)
        return await befall(
            trouble,
            request,
            lambda: handler(request, now),
            lambda error: failed(house, trouble.error or error, now),
        )

    return guarded


def _check_access(house: House, request: Request, right: str, now: float, checked: float) -> None:
    header = authorization(request)
    try:
        named = names(house.dps.host, request)
        house.dps.policies.check(Token.parse(header), named, right, checked)
    except AccessDenied as denied:
        house.tell(Refused(now, "DPS", caller(header), denied.reason, "error 401002"))
        raise ServiceError(401002, "Unauthorized") from None
