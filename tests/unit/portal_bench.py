"""A cloud and its portal without a socket, and a visitor who reads pages and sends forms."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.portal.app import Portal
from host_tools.emulator.portal.desk import Desk
from host_tools.emulator.records import Registration
from host_tools.keys import encode_key

BASE = "http://localhost:8443"
NOW = 1_700_000_000.0
HUB = "test-docs-hub.azure-devices.net"
OTHER_HUB = "north-hub.azure-devices.net"
GROUP = "mylegacydevices"
KEYS = KeyPair(bytes(range(64)), bytes(range(64, 128)))
OWN = KeyPair(b"p" * 32, b"s" * 32)
OF = f"?hub={HUB}&id=sn-1"
POLICY = {"allocation": "hashed", "hubs": HUB, "reprovisioning": "migrate"}
CONFIG = Config(
    groups=(EnrollmentGroup(GROUP, HUB, KEYS), EnrollmentGroup("north", OTHER_HUB)),
    individuals=(IndividualEnrollment("bench-1", HUB, OWN, "pump-7"),),
)
SECRETS = [
    encode_key(key)
    for key in (*KEYS, *OWN, *KEYS.derived_for("sn-1"))
]  # fmt: skip


class Visitor:
    """One browser, as far as a test needs one."""

    def __init__(self, directory: Path) -> None:
        self.events: list = []
        self.cloud = Cloud(CONFIG, on_event=self.events.append, state_dir=directory)
        self.desk = Desk(self.cloud, "localhost:8883", clock=lambda: NOW, tick=lambda: 1.0)
        self.portal = Portal(self.cloud, desk=self.desk)
        self.app = Starlette(routes=self.portal.routes())
        self.cookies = httpx.Cookies()
        self.token = ""
        self.hub = self.cloud.hubs.hub(HUB)

    async def _ask(self, method: str, path: str, **how: object) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE, cookies=self.cookies
        ) as client:
            answer = await client.request(method, path, **how)
            self.cookies = client.cookies
            return answer

    def ask(self, method: str, path: str, **how: object) -> httpx.Response:
        """Send a request below /portal."""
        return asyncio.run(self._ask(method, f"/portal{path}", **how))

    def read(self, path: str, status: int = 200) -> str:
        """Return a page; keep the token for its forms."""
        answer = self.ask("GET", path)
        assert answer.status_code == status, answer.text
        found = re.search('name="form_token" value="([0-9a-f]+)"', answer.text)
        self.token = found[1] if found else self.token
        return answer.text

    def form(self, path: str, headers=(), **fields: object) -> httpx.Response:
        """Send a form as its page does."""
        if not self.token:
            self.read("/registrations")
            self.read("/group/new")
        headers = {"Origin": BASE, "Sec-Fetch-Site": "same-origin", **dict(headers)}
        return self.ask("POST", path, data={"form_token": self.token, **fields}, headers=headers)

    def done(self, path: str, **fields: object) -> str:
        """Send a form that is taken; return the page it leads to."""
        answer = self.form(path, **fields)
        assert answer.status_code == 303, text_of(answer.text)
        location = answer.headers["location"]
        return self.read(location.removeprefix("/portal").partition("#")[0])

    def refused(self, path: str, status: int, **fields: object) -> str:
        """Send a form that is not taken; return the page that says so."""
        answer = self.form(path, **fields)
        assert answer.status_code == status, text_of(answer.text)
        return answer.text


def registered(visitor: Visitor, name: str = "sn-1") -> None:
    """Have DPS know a device as a member of the group."""
    visitor.cloud.dps._records.put(
        Registration(name, name, HUB, GROUP, "initialAssignment", "e", NOW, NOW)
    )


def text_of(html: str) -> str:
    """Return what a page says, without its marks."""
    return " ".join(re.sub("<[^>]*>", " ", html).split())


@contextmanager
def visiting(directory: Path) -> Iterator[Visitor]:
    """Have a cloud and a visitor until the block ends."""
    visitor = Visitor(directory)
    with visitor.cloud:
        yield visitor
        visitor.portal.close()
