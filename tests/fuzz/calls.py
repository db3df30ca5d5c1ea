"""Harness: HTTP requests to the REST interfaces, with a service's token or without.

Method, path and body are the fuzzer's, the server below (uvicorn) is not in it. The oracle: an
answer, always; its status says whose fault it is, and never ours; its JSON is JSON.
"""

import json
from urllib.parse import unquote

from tests.fuzz.bench import HUB, NAME, OTHER
from tests.fuzz.chance import Chance, said
from tests.fuzz.web import CONTROL, Web, disturbs, renewed

SCOPE = "0ne00002193"
PATHS = (
    "/devices",
    f"/devices/{NAME}",
    "/devices/query",
    f"/twins/{NAME}",
    f"/twins/{NAME}/methods",
    "/statistics/devices",
    "/statistics/service",
    "/keystead/status",
    "/keystead/faults",
    "/keystead/traces",
    f"/keystead/hubs/{HUB}/devices/{NAME}/messages",
    "/enrollments",
    "/enrollments/bench-1",
    "/enrollments/bench-1/attestationmechanism",
    "/enrollments/query",
    "/enrollmentGroups/g",
    "/enrollmentGroups/query",
    f"/registrations/{NAME}",
    "/registrations/mylegacydevices/query",
    f"/{SCOPE}/registrations/{NAME}/register",
    f"/{SCOPE}/registrations/{NAME}/operations/5.x",
    f"/{SCOPE}/registrations/{NAME}",
    "/",
)
METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
VERSIONS = ("2021-04-12", "2021-10-01", "2019-03-31", "x")
TOKENS = [
    *(path.encode() for path in PATHS),
    b'{"deviceId":"dev-1","status":"enabled"}',
    b'"authentication":{"type":"sas","symmetricKey":{"primaryKey":"","secondaryKey":""}}',
    b'{"query":"SELECT * FROM devices WHERE tags.a = 1 AND properties.desired.b != \'x\'"}',
    b"SELECT COUNT() AS n FROM devices",
    b"SELECT * FROM enrollments",
    b"ORDER BY deviceId DESC",
    b"is_defined(",
    b" IN ['a','b']",
    b"startswith(deviceId, 'd')",
    b" AND ",
    b" OR ",
    b"NOT (",
    b"properties.reported.",
    b"GROUP BY tags.a",
    b"TOP 5",
    b'{"tags":{"a":1},"properties":{"desired":{"b":null}}}',
    b'{"methodName":"reboot","payload":{}}',
    b'[{"id":"a","importMode":"create"}]',
    b'"importMode":"updateTwin"',
    b'{"body":"hello","properties":{"a":"b"}}',
    b'"dev-1 gets 429, twice"',
    b'{"who":"dev-1","gets":"429"}',
    b'{"mode":"create","enrollments":[]}',
    b'{"registrationId":"bench-1","attestation":{"type":"symmetricKey"}}',
    b"\\ud800",
    b"NaN",
    b"1e999",
]

_web: list[Web] = []


def run(data: bytes) -> None:
    """Ask a few things, one after the other."""
    web, chance = renewed(_web, 3000), Chance(data)
    for _ in range(8):
        if not chance.more():
            break
        _ask(web, chance)
    web.mend()


def _ask(web: Web, chance: Chance) -> None:
    method = METHODS[chance.below(len(METHODS))]
    choice, tail = chance.below(len(PATHS) + 1), chance.piece().decode("latin-1")
    target = (PATHS[choice] if choice < len(PATHS) else "/") + tail
    target += ("&" if "?" in target else "?") + f"api-version={VERSIONS[chance.below(4)]}"
    token = (*web.tokens, f"Bearer {CONTROL}", "", tail)[chance.below(6)]
    etag, body = (b"", b"*", b'"x"', b"\xff")[chance.below(4)], chance.piece()
    if target.startswith("/devices/query") and body[:1] != b"{":
        body = json.dumps({"query": body.decode(errors="replace")}).encode()
    # nobody waits for a device that is not there, or reads events for ever, in a fuzzer's time;
    # the portal has a harness of its own
    slow = b"onnectTimeout" in body or any(word in unquote(target) for word in ("/events", "/po"))
    if slow or disturbs(OTHER, target, body.decode("latin-1")):
        return
    host = web.cloud.dps.host if "nrollment" in target or "/registrations" in target else HUB
    reply = web.ask(method, target, body, host=host, authorization=token, if_match=etag)
    if not web.cloud.faults.active:  # a rule may ask for just that
        assert 200 <= reply.status < 500 or reply.status in (501, 504), reply
        if reply.body:
            json.loads(reply.body, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _seed(method: str, path: str, version: int, token: int, body: bytes, etag: int = 0) -> bytes:
    return said(METHODS.index(method), PATHS.index(path), b"", version, token, etag, body)


_ENROLLMENT = b'{"registrationId":"bench-1","attestation":{"type":"symmetricKey"}}'
SEEDS = [
    _seed("PUT", PATHS[1], 0, 0, b'{"deviceId":"dev-1","status":"disabled","statusReason":"x"}'),
    _seed("POST", PATHS[2], 0, 0, b"SELECT * FROM devices WHERE tags.a = 1 AND status != 'x'"),
    _seed("POST", PATHS[2], 0, 0, b"SELECT COUNT() AS n FROM devices WHERE is_defined(tags.a)"),
    _seed("POST", PATHS[2], 0, 0, b"SELECT deviceId, tags FROM devices WHERE NOT (a IN ['b'])"),
    _seed("PATCH", PATHS[3], 0, 0, b'{"tags":{"a":1},"properties":{"desired":{"c":[1]}}}', 1),
    _seed("GET", PATHS[3], 0, 3, b""),
    *(_seed("GET", path, 1, token, b"") for path in PATHS for token in (0, 1, 4)),
    _seed("POST", PATHS[4], 0, 0, b'{"methodName":"reboot","responseTimeoutInSeconds":5}'),
    _seed("POST", PATHS[0], 0, 0, b'[{"id":"a","importMode":"create"},{"id":"a"}]'),
    _seed("POST", PATHS[8], 0, 3, b'"dev-1 gets 429, twice"') + _seed("GET", PATHS[8], 0, 3, b""),
    _seed("POST", PATHS[10], 0, 3, b'{"body":"hello","properties":{"a":"b"}}'),
    _seed("DELETE", PATHS[1], 0, 0, b"", 2) + _seed("GET", PATHS[5], 0, 0, b""),
    _seed("PUT", PATHS[12], 1, 1, _ENROLLMENT)
    + _seed("POST", PATHS[13], 1, 1, b"")
    + _seed("POST", PATHS[14], 1, 1, b'{"query":"SELECT * FROM enrollments"}')
    + _seed("DELETE", PATHS[12], 1, 1, b"", 1),
    _seed("PUT", PATHS[19], 2, 2, b'{"registrationId":"dev-1"}')
    + _seed("GET", PATHS[20], 2, 2, b"")
    + _seed("POST", PATHS[21], 2, 2, b"{}")
    + _seed("GET", PATHS[17], 1, 1, b"")
    + _seed("POST", PATHS[18], 1, 1, b"{}"),
]
