"""A cloud, a browser on its portal, and devices that say what a test has them say."""

import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TextIO
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.packets import Disconnect, Packet, Puback, Publish
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe
from host_tools.keys import derive_device_key, encode_key
from host_tools.toolchain import browser as browsers
from keystead import dps, hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT
from tests.emulator.mqtt_fixtures import Line

OTHER_HUB = "north-hub.azure-devices.net"
GROUP = "mylegacydevices"
GROUP_KEY = bytes(range(64))
SCOPE = "0ne00002193"
CONFIG = f"""
[dps]
id_scope = "{SCOPE}"
assigning_replies = 0
retry_after = 1

[[enrollment_group]]
name = "{GROUP}"
primary_key = "{encode_key(GROUP_KEY)}"
hub = "{HUB}"

[[enrollment_group]]
name = "north"
hub = "{OTHER_HUB}"
"""
METHODS = "$iothub/methods/POST/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"


class Cloud:
    """A running `keystead cloud --json` with two hubs."""

    def __init__(self, facts: dict, ca: Path, process: subprocess.Popen) -> None:
        self._process = process
        self.port: int = facts["port"]
        self.portal: str = facts["rest"]["portal"]
        self.tls = ssl.create_default_context(cafile=ca)

    def stop(self) -> None:
        """End it before its time, and wait for the end."""
        self._process.terminate()
        self._process.wait(LIMIT)

    def page(self, path: str, **query: str) -> str:
        """Return the address of a page."""
        fields = "&".join(f"{name}={quote(value)}" for name, value in query.items())
        base = self.portal.partition("?")[0].rstrip("/")
        return f"{base}{path}" + (f"?{fields}" if fields else "")

    def device(self, name: str) -> "Device":
        """Have DPS assign a device; return it, not yet connected."""
        return Device(self, name)

    @contextmanager
    def line(self, connect: Connect) -> Iterator[Line]:
        """Open a connection, say CONNECT and expect to be let in."""
        with (
            socket.create_connection(("127.0.0.1", self.port), LIMIT) as plain,
            self.tls.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            line = Line(tls)
            line.send(connect)
            assert line.packet() == Connack(0)
            yield line


@contextmanager
def running(directory: Path, *more: str) -> Iterator[Cloud]:
    """Run a cloud until the block ends; it must end cleanly and complain about nothing."""
    ca, config = directory / "ca.pem", directory / "cloud.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-W", "error", "-m", "host_tools", "cloud", "--json"]
    command += ["--config", config, "--port", "0", "--ca-out", ca, *more]
    with (directory / "stdout").open("w+") as said, (directory / "stderr").open("w+") as errors:
        with subprocess.Popen(command, stdout=said, stderr=errors) as process:
            try:
                yield Cloud(_first_line(process, said, errors), ca, process)
            finally:
                process.terminate()
        errors.seek(0)
        complaints = errors.read()
    assert process.returncode == 0, complaints
    assert "Error" not in complaints, complaints
    assert "Warning" not in complaints, complaints


def _first_line(process: subprocess.Popen, said: TextIO, errors: TextIO) -> dict:
    deadline = time.monotonic() + LIMIT
    line = ""
    while not line.endswith("\n"):
        if process.poll() is not None:
            errors.seek(0)
            raise AssertionError(f"the cloud ended: {errors.read()}")
        assert time.monotonic() < deadline, "the cloud said nothing"
        time.sleep(0.05)  # a file tells nobody that it grew
        said.seek(0)
        line = said.readline()
    return json.loads(line)


class Device:
    """A member of the group at its hub, packet by packet; a context manager once it connects."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.name = name
        self.key = derive_device_key(GROUP_KEY, name)
        self.hub = HUB
        self._cloud = cloud
        self._number = 1
        self.register()

    def register(self) -> str:
        """Ask DPS for a hub; return and keep what it says."""
        topic, body = dps.Registration(self.name).request()
        token = sas_token(dps.resource(SCOPE, self.name), self.key, _soon())
        connect = Connect(self.name, dps.username(SCOPE, self.name), token.encode())
        with self._cloud.line(connect) as line:
            line.send(Subscribe(1, ((dps.RESPONSES, 1),)), Publish(topic, body, 1, 2))
            operation = json.loads(_published(line).payload)["operationId"]
            poll = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
            line.send(Publish(poll + operation, b""))
            answer = json.loads(_published(line).payload)
            line.send(Disconnect())
        assert answer["status"] == "assigned", answer
        self.hub = answer["registrationState"]["assignedHub"]
        return self.hub

    def __enter__(self) -> Self:
        token = sas_token(hub.resource(self.hub, self.name), self.key, _soon())
        user = hub.username(self.hub, self.name)
        self._opened = self._cloud.line(Connect(self.name, user, token.encode()))
        self.line = self._opened.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)

    def subscribe(self, topic_filter: str) -> None:
        """Subscribe and be granted."""
        self.line.send(Subscribe(9, ((topic_filter, 0),)))
        assert isinstance(self.line.packet(), Suback)

    def send(self, body: object, bag: str = "") -> None:
        """Send telemetry and see it acknowledged."""
        self._number = self._number % 60000 + 1
        text = json.dumps(body).encode()
        self.line.send(Publish(hub.telemetry_topic(self.name) + bag, text, 1, self._number))
        assert self.line.packet() == Puback(self._number)

    def heard(self) -> Publish:
        """Wait for what the cloud publishes."""
        return _published(self.line)

    def answer(self, call: Publish, status: int, payload: object) -> None:
        """Answer a method's call."""
        rid = call.topic.partition("$rid=")[2]
        topic = f"$iothub/methods/res/{status}/?$rid={rid}"
        self.line.send(Publish(topic, json.dumps(payload).encode()))

    def dropped(self) -> bool:
        """Wait for the end of the connection."""
        return self.line.packet() is None


def _published(line: Line) -> Publish:
    packet: Packet | None = line.packet()
    while packet is not None and not isinstance(packet, Publish):
        packet = line.packet()
    assert packet is not None, "the connection ended"
    return packet


def _soon() -> int:
    return int(time.time()) + 3600


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser, or skip with the command that installs one."""
    path = browsers.find()
    if path is None:
        pytest.skip(browsers.MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*browsers.FLAGS])
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser, home: str, expected: str = "", **how: object) -> Iterator[Page]:
    """Open a tab; nothing may go wrong in it, and nothing may be asked of anybody but home.

    expected: a pattern of complaints that belong to the test.
    """
    with browser.new_context(ignore_https_errors=True, **how) as context:
        page = context.new_page()
        trouble: list[str] = []
        page.on("console", lambda said: _note(trouble, said.type, said.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        origin = urlsplit(home).netloc
        page.on("request", lambda asked: _note_foreign(trouble, asked.url, origin))
        page.set_default_timeout(1000 * LIMIT)
        yield page
        unexpected = [one for one in trouble if not (expected and re.search(expected, one))]
        assert not unexpected, unexpected


def _note(trouble: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        trouble.append(text)


def _note_foreign(trouble: list[str], address: str, origin: str) -> None:
    if urlsplit(address).netloc != origin and not address.startswith("data:"):
        trouble.append(f"asked {address}")
