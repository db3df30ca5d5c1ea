"""Whatever a caller sends to the REST interface, it is answered, and never with a 5xx."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.rest_bench import HUB, TOKEN, Bench, bench

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "deviceId", "status", "statusReason", "authentication", "symmetricKey", "primaryKey",
        "secondaryKey", "x509Thumbprint", "type", "capabilities", "iotEdge", "tags", "properties",
        "desired", "reported", "methodName", "payload", "responseTimeoutInSeconds", "query",
        "connectTimeoutInSeconds", "id", "importMode", "eTag", "who", "when", "gets", "$version",
    ]
)  # fmt: skip
LIKELY = st.recursive(
    JSON | st.sampled_from(["enabled", "sas", "create", "AAECAwQFBgcICQoLDA0ODw==", "pump-7"]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=20,
)
BODIES = st.binary(max_size=100) | (JSON | LIKELY).map(lambda value: json.dumps(value).encode())
CONTROL = f"Bearer {TOKEN}"
PATHS = st.sampled_from(
    [
        "/devices", "/devices/query", "/devices/pump-7", "/devices/new",
        "/devices/pump-7/commands",
        "/twins/pump-7", "/twins/pump-7/methods", "/statistics/devices", "/statistics/service",
        "/keystead/faults", "/keystead/status", "/keystead/traces", "/jobs/v2/x",
        f"/keystead/hubs/{HUB}/devices/pump-7/messages", "/$iothub/websocket",
    ]
)  # fmt: skip
METHODS = st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "if-match", "x-ms-max-item-count", "x-ms-continuation", "content-type", "expiry",
            "ack", "message-id", "authorization",
        ]
    ),
    VALUES,
    max_size=2,
)  # fmt: skip


def ask(it: Bench, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    if "/keystead" in path:
        named.setdefault("authorization", CONTROL)
    encoded = {name: value.encode("latin-1") for name, value in named.items()}
    answer = asyncio.run(it.ask(method, path, body, **encoded))
    assert answer.status_code < 500 or answer.status_code == 501, (answer.status_code, answer.text)
    if answer.status_code >= 400 and method != "HEAD":
        assert _says_why(answer.json()), answer.text
        assert answer.headers["iothub-errorcode"]


def _says_why(document: Any) -> bool:
    """Whether an error's body has a sentence, or a bulk request's one for each that failed."""
    if "Message" in document:
        return bool(document["Message"])
    return not document["isSuccessful"] and all(one["errorStatus"] for one in document["errors"])


# one bench for all examples: what they leave behind makes the next ones harder
def test_nothing_breaks_it() -> None:
    with bench() as it:
        it.hub.create("pump-7", 1.0)

        @settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
        @given(METHODS, PATHS, BODIES, HEADERS)
        def check(method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
            ask(it, method, path, body, headers)
            it.faults.clear()

        check()
        listed = asyncio.run(it.ask("GET", "/devices"))
        assert listed.status_code == 200


def test_any_address_and_any_query_string_is_answered() -> None:
    with bench() as it:

        @settings(max_examples=200, deadline=None)
        @given(ROOTS, st.text(max_size=60), st.text(max_size=30))
        def check(root: str, path: str, query: str) -> None:
            ask(it, "GET", f"{root}{quote(path, safe='')}?top={quote(query)}", b"", {})

        check()


ROOTS = st.sampled_from(
    ["/", "/devices/", "/twins/", "/devices", "/keystead/hubs/", "/keystead/faults/"]
)
