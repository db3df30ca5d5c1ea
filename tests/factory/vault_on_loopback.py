"""A key vault on loopback: HTTPS, and of Key Vault's REST as much as reading secrets takes.

Source: "Key Vault REST API: Get Secret", "Authentication, requests and responses". It has never
been compared with Azure's own.
"""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

TOKEN = "a-token-of-the-right-tenant"
_PATH = re.compile(r"/secrets/(?P<name>[0-9A-Za-z-]+)/(?P<version>[0-9a-z]*)\?api-version=\d.*")


@dataclass
class Vault:
    """Its secrets, by name; a version is "1" or none; requests: what it was asked, in order."""

    url: str
    ca: Path
    secrets: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    resource: str = ""
    down: int | None = None
    requests: list[str] = field(default_factory=list)

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], object]:
        """Return status, headers and body of a GET."""
        self.requests.append(path)
        if self.down:
            return self.down, {}, _error("ServerError", "it is down")
        if token != f"Bearer {TOKEN}":
            challenge = (
                'Bearer authorization="https://login.windows.net/'
                f'00000000-0000-0000-0000-000000000001", resource="{self.resource}"'
            )
            error = _error("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
            return 401, {"WWW-Authenticate": challenge}, error
        match = _PATH.fullmatch(path)
        name = match["name"] if match else ""
        if name in self.forbidden:
            return 403, {}, _error("Forbidden", "Caller is not authorized.", "ForbiddenByRbac")
        if name in self.disabled:
            return 403, {}, _error("Forbidden", "Operation get is not allowed.", "SecretDisabled")
        if name not in self.secrets or (match and match["version"] not in ("", "1")):
            return 404, {}, _error("SecretNotFound", f"A secret with {name} was not found.")
        body = {
            "value": self.secrets[name],
            "id": f"{self.url}/secrets/{name}/1",
            "attributes": {"enabled": True, "created": 1, "updated": 1},
        }
        return 200, {}, body


def _error(code: str, message: str, inner: str | None = None) -> object:
    error: dict[str, object] = {"code": code, "message": message}
    return {"error": error | ({"innererror": {"code": inner}} if inner else {})}


@contextmanager
def serving(folder: Path) -> Iterator[Vault]:
    """Lend a vault that listens."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = vault.answer(self.path, self.headers["Authorization"])
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        host = f"127.0.0.1:{server.server_port}"
        # the SDK wants the vault's host to be below the resource's: as contoso.vault.azure.net
        # is below vault.azure.net, so is 127.0.0.1 below 0.0.1
        resource = f"https://{host.partition('.')[2]}"
        vault = Vault(f"https://{host}", folder / "ca.pem", resource=resource)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield vault
        finally:
            server.shutdown()
            thread.join()
