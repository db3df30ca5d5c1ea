"""Cloud client: how the sub-commands of `keystead cloud` reach a cloud that runs.

Owns which cloud is meant, the requests to its control interface and the words for what can go
wrong. Doesn't own the interface (emulator/rest/control.py) nor what is printed.

exit codes: 0 done, 1 it can not be done (no cloud, refused, no such device), 3 the device is not
online or did not answer in time.
"""

import argparse
import json
import re
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from host_tools import signals
from host_tools.emulator.rest.control_file import Control, load
from host_tools.errors import CommandError

if TYPE_CHECKING:
    import httpx

ABSENT = 3
_PATIENCE = 30.0  # seconds for an answer
_CONTINUATION = "x-ms-continuation"
_NAMES = {404001: "DeviceNotFound", 404103: "DeviceNotOnline", 504101: "GatewayTimeout"}
_OF_DEVICES = ("DeviceNotOnline", "GatewayTimeout")


class Refused(CommandError):
    """The cloud answered, and not with what was asked for."""

    def __init__(self, name: str, message: str) -> None:
        """name: the error's, as the service's API has it."""
        super().__init__(message)
        self.name = name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which cloud is meant."""
    where = parser.add_argument_group("which cloud, if not the one you started last")
    where.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="the one that keeps its state there",
    )
    where.add_argument("--url", default=argparse.SUPPRESS, help="the one at https://HOST:PORT")
    where.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="with --url: its control token, or its control.json",
    )
    where.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="with --url: the certificate it is to be trusted by (default: what FILE says)",
    )
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON"
    )


def add_hub(parser: argparse.ArgumentParser) -> None:
    """Declare the option that says which hub is meant."""
    parser.add_argument("--hub", default="", help="the hub's name (default: the one that has it)")


def find(args: argparse.Namespace) -> Control:
    """Return the cloud that the options mean; raise CommandError."""
    url, token_file = getattr(args, "url", None), getattr(args, "token_file", None)
    if not url:
        if token_file:
            raise CommandError("--token-file needs --url: the cloud it is for")
        return load(getattr(args, "state_dir", None))
    if not _is_url(url):
        raise CommandError(f"--url {url[:80]!r} must be https://HOST or https://HOST:PORT")
    if not token_file:
        raise CommandError("--url needs --token-file: the cloud's control token")
    return _by_hand(url, token_file, getattr(args, "ca", None))


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _by_hand(url: str, token_file: Path, ca: Path | None) -> Control:
    try:
        text = token_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandError(f"can not read {token_file}: {why}") from None
    named = ""
    if text.startswith("{"):
        try:
            document = json.loads(text)
            text, named = str(document["token"]), str(document["ca"])
        except (ValueError, KeyError, RecursionError):
            raise CommandError(f"{token_file} holds no control token") from None
    if not re.fullmatch("[!-~]+", text):
        raise CommandError(f"{token_file} holds no control token, which is one word")
    if not ca and not named:
        raise CommandError("--url needs --ca: the certificate that the cloud is trusted by")
    return Control(url.rstrip("/"), str(ca or named), text)


@dataclass(frozen=True)
class CloudClient:
    """A cloud that runs, and what can be asked of it."""

    control: Control
    http: "httpx.AsyncClient"

    async def ask(
        self, method: str, path: str, *, patience: float = _PATIENCE, **content: Any
    ) -> Any:
        """Return the JSON that a request is answered with, None without; CommandError."""
        response = await self._request(method, path, patience, content)
        return response.json() if response.content else None

    async def pages(self, method: str, path: str, **content: Any) -> AsyncIterator[Any]:
        """Give what a request is answered with, page by page; CommandError."""
        more = ""
        while True:
            headers = {_CONTINUATION: more} if more else {}
            response = await self._request(
                method, path, _PATIENCE, {**content, "headers": headers}
            )
            yield response.json()
            more = response.headers.get(_CONTINUATION, "")
            if not more:
                return

    async def _request(
        self, method: str, path: str, patience: float, content: dict[str, Any]
    ) -> "httpx.Response":
        import httpx

        try:
            response = await self.http.request(method, path, timeout=patience, **content)
        except httpx.HTTPError as error:
            raise unreachable(self.control.url, error) from None
        if response.is_error:
            raise refusal(response.status_code, response.content)
        return response

    async def hubs(self) -> list[str]:
        """Return the names of all hubs; CommandError."""
        return [hub["name"] for hub in (await self.ask("GET", "/keystead/status"))["hubs"]]

    async def hub_of(self, device_id: str, hub: str) -> str:
        """Return the address of a device's hub: the named one or the one that has it."""
        names = [hub] if hub else await self.hubs()
        found = []
        for name in names:
            root = f"/keystead/hubs/{quote(name, safe='')}"
            try:
                await self.ask("GET", f"{root}/devices/{quote(device_id, safe='')}")
            except Refused as refused:
                if len(names) == 1 or refused.name != "DeviceNotFound":
                    raise
            else:
                found.append(root)
        if not found:
            raise CommandError(f"no hub of this cloud has a device {device_id[:128]!r}")
        if len(found) > 1:
            raise CommandError(f"several hubs have a device {device_id!r}: name one with --hub")
        return found[0]


def run(args: argparse.Namespace, work: Callable[[CloudClient], Coroutine[Any, Any, int]]) -> int:
    """Do work with the cloud that the options mean; return the exit code; CommandError."""
    try:
        return signals.run(_run(find(args), work))
    except Refused as refused:
        if refused.name not in _OF_DEVICES:
            raise
        print(f"keystead cloud: {refused}", file=sys.stderr)
        return ABSENT


async def _run(control: Control, work: Callable[[CloudClient], Coroutine[Any, Any, int]]) -> int:
    async with client(control) as http:
        return await work(CloudClient(control, http))


def client(control: Control) -> "httpx.AsyncClient":
    """Return an HTTP client that trusts the cloud's CA and no other; CommandError."""
    import httpx  # a tenth of a second that `keystead cloud` itself has better use for

    try:
        context = ssl.create_default_context(cafile=control.ca)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"can not read the CA certificate {control.ca}: {error}") from None
    headers = {"Authorization": f"Bearer {control.token}"}
    return httpx.AsyncClient(
        base_url=control.url, verify=context, headers=headers, trust_env=False
    )


def unreachable(url: str, error: Exception) -> CommandError:
    """Return what to say when the cloud does not answer."""
    why = str(error) or type(error).__name__
    return CommandError(f"the cloud at {url} can not be reached ({why}): does it still run?")


# {"Message": "ErrorCode:{name};{words}", ...}, or with an error as text in it
def refusal(status: int, body: bytes) -> Refused:
    """Return what to say when the cloud answers with an error."""
    try:
        text = str(json.loads(body)["Message"])
        if text.startswith("{"):
            inner = json.loads(text)
            code = inner["errorCode"]
            return Refused(_NAMES.get(code, ""), f"{inner['message']} ({code})")
        name, _, words = text.removeprefix("ErrorCode:").partition(";")
    except (ValueError, KeyError, TypeError):
        return Refused("", f"the cloud answered with HTTP {status}")
    if status == 401:
        words = "it does not know this control token: was it started anew?"
    return Refused(name, f"{words} (HTTP {status}, {name})")
