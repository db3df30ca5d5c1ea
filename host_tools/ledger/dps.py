"""DPS, as a program of the factory asks it: which devices registered.

Owns the service's REST API as far as it is needed, and the words for what can go wrong. Doesn't
own what the answers mean for the ledger (reconciling.py).
Source: DPS REST API, 2021-10-01: "Device Registration State - Query", "Enrollment Group - Query";
"Control access to DPS with shared access signatures".
"""

import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

from host_tools.emulator.rest import control_file
from host_tools.errors import CommandError
from host_tools.key_sources import shield
from host_tools.key_sources.secret_file import read_secret
from host_tools.keys import decode_key
from keystead.sas import sas_token

if TYPE_CHECKING:
    import httpx

VARIABLE = "KEYSTEAD_DPS_CONNECTION_STRING"
_VERSION = "2021-10-01"
_PAGE = 1000  # items; DPS gives fewer if it likes
_LIFE = 3600  # seconds a token is good for
_PATIENCE = 30.0  # seconds for an answer
_TRIES = 6  # of one request that DPS has no time for
_LONGEST_WAIT = 60  # seconds between them
_PAIR = re.compile(r"(?P<name>HostName|SharedAccessKeyName|SharedAccessKey)=(?P<value>.+)")


@dataclass(frozen=True)
class Policy:
    """A shared access policy of a DPS instance. host: its service API's, a port with it."""

    host: str
    name: str
    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str, what: str) -> Self:
        """Return what a connection string says; CommandError names `what`, never the text.

        HostName={host};SharedAccessKeyName={policy};SharedAccessKey={Base64}
        """
        pairs = [_PAIR.fullmatch(part.strip()) for part in text.strip().strip(";").split(";")]
        found = {pair["name"]: pair["value"] for pair in pairs if pair}
        if None in pairs or len(found) != 3:
            raise CommandError(
                f"{what} is not HostName=...;SharedAccessKeyName=...;SharedAccessKey=...: copy it"
                " whole from the DPS instance's shared access policies"
            )
        key = decode_key(found["SharedAccessKey"], f"the key in {what}")
        return cls(found["HostName"], found["SharedAccessKeyName"], key)


def policy(file: Path | None) -> Policy:
    """Return the policy that a file holds, else $KEYSTEAD_DPS_CONNECTION_STRING; CommandError.

    The variable is taken out of the environment in any case. A file is refused that others may
    read.
    """
    found = shield.take(VARIABLE)
    if file is not None:
        raw = read_secret(str(file))
        text = raw.decode("utf-8-sig", "replace")  # as editors on Windows begin a file
        raw[:] = bytes(len(raw))
        return Policy.parse(text, str(file))
    if not found:
        raise CommandError(
            f"no DPS named: put the connection string of a policy with Registration read into"
            f" ${VARIABLE}, or into a file for --connection-string-file"
        )
    return Policy.parse(found, f"${VARIABLE}")


class Dps:
    """A DPS instance's service API. A context manager."""

    def __init__(
        self,
        policy: Policy,
        url: str | None = None,
        ca: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], object] = time.sleep,
        page: int = _PAGE,
    ) -> None:
        """url: dial this instead of the policy's host; ca: trust this and nothing else.

        clock: seconds since 1970; wait: called with seconds when DPS has no time; page: how many
        items to ask for at once. Raises CommandError.
        """
        import httpx  # a tenth of a second that other verbs have better use for

        self._policy, self._clock, self._wait, self._page = policy, clock, wait, page
        self.url = _address(url or f"https://{policy.host}")
        self._http = httpx.Client(
            base_url=self.url,
            verify=_context(ca or _own_ca(self.url)),
            timeout=_PATIENCE,
            params={"api-version": _VERSION},
            trust_env=url is None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def groups(self) -> list[str]:
        """Return the names of all enrollment groups; CommandError."""
        found = self._query(
            "/enrollmentGroups/query", "list its enrollment groups (or name one with --group)"
        )
        return [str(one["enrollmentGroupId"]) for one in found]

    def registrations(self, group: str) -> Iterator[dict[str, Any]]:
        """Give the registration records of a group, as DPS has them, page by page; CommandError.

        Fields: registrationId, status, and as it is assignedHub, deviceId, errorCode,
        errorMessage, createdDateTimeUtc, lastUpdatedDateTimeUtc.
        """
        path = f"/registrations/{quote(group, safe='')}/query"
        return self._query(path, f"list the registrations of group {group!r}")

    # POST {path}, x-ms-max-item-count; the next page is asked for with the x-ms-continuation got
    def _query(self, path: str, what: str) -> Iterator[dict[str, Any]]:
        more = ""
        while True:
            headers = {"x-ms-max-item-count": str(self._page)}
            if more:
                headers["x-ms-continuation"] = more
            answer = self._ask(path, headers, what)
            yield from _items(answer, self.url)
            more = answer.headers.get("x-ms-continuation", "")
            if not more:
                return

    def _ask(self, path: str, headers: dict[str, str], what: str) -> "httpx.Response":
        import httpx

        for tries in range(1, _TRIES + 1):
            try:
                answer = self._http.post(
                    path,
                    json={"query": "SELECT *"},
                    headers={**headers, "Authorization": self._token()},
                )
            except httpx.HTTPError as error:
                why = str(error) or type(error).__name__
                raise CommandError(f"DPS at {self.url} can not be reached: {why}") from None
            busy = answer.status_code == 429 or answer.status_code >= 500
            if not busy or tries == _TRIES:
                break
            self._wait(_seconds(answer.headers.get("retry-after", ""), tries))
        if answer.status_code != 200:
            raise _refusal(answer, self._policy.name, what)
        return answer

    def _token(self) -> str:
        host = self._policy.host.lower()
        return sas_token(host, self._policy.key, int(self._clock()) + _LIFE, self._policy.name)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname and parts.port != 0:
            return f"https://{parts.netloc}"
    except ValueError:
        pass
    raise CommandError(f"{url[:80]!r} must be https://HOST or https://HOST:PORT")


# the emulator of this machine trusts a CA of its own; it says which in its control file
def _own_ca(url: str) -> Path | None:
    try:
        control = control_file.load()
    except CommandError:
        return None
    return Path(control.ca) if control.url.lower() == url.lower() else None


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"can not read the CA certificate {ca}: {error}") from None


def _items(answer: "httpx.Response", url: str) -> list[dict[str, Any]]:
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise CommandError(f"what answers at {url} is no DPS: its list is none")
    return found


def _seconds(text: str, tries: int) -> float:
    told = float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 2.0**tries
    return min(told, _LONGEST_WAIT)


def _refusal(answer: "httpx.Response", policy: str, what: str) -> CommandError:
    if answer.status_code in (401, 403):
        return CommandError(
            f"DPS does not let policy {policy} {what}: does it have the right, is its key the"
            " newest, and is this machine's clock right?"
        )
    if answer.status_code == 404:
        return CommandError(f"DPS can not {what}: there is none of this name")
    try:
        words = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        words = ""
    told = f": {words}" if words else ""
    return CommandError(f"DPS can not {what}: HTTP {answer.status_code}{told}")
