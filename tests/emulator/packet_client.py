"""A device's end of a TLS connection to the cloud, packet by packet, and what it says there."""

import asyncio
import socket
import ssl
import time

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Publish, parse
from host_tools.emulator.mqtt.subscribe import Subscribe
from host_tools.keys import derive_device_key, encode_key
from keystead import dps, hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT

GROUP_KEY = bytes(range(64))
CONFIG = f"""
[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{encode_key(GROUP_KEY)}"
hub = "{HUB}"
"""


class Client:
    """A device's end of a TLS connection, packet by packet."""

    def __init__(self, port, ca, version=None, name="localhost"):
        self.context = ssl.create_default_context(cafile=ca)
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        self._where = ("127.0.0.1", port, name)
        self._framer = Framer()
        self._packets = []

    async def __aenter__(self):
        host, port, name = self._where
        self._reader, self._writer = await asyncio.open_connection(
            host, port, ssl=self.context, server_hostname=name
        )
        self.version = self._writer.get_extra_info("ssl_object").version()
        return self

    async def __aexit__(self, *_):
        self._writer.transport.abort()

    async def ask(self, packet):
        """Send a packet; return the next that comes, None at the end of the connection."""
        self._writer.write(packet if isinstance(packet, bytes) else packet.encode())
        return await self.next()

    async def next(self):
        async with asyncio.timeout(LIMIT):
            while not self._packets:
                try:
                    data = await self._reader.read(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    return None
                self._packets += [parse(*packet) for packet in self._framer.feed(data)]
        return self._packets.pop(0)


def token(resource, key):
    return sas_token(resource, key, int(time.time()) + 3600)


def at_dps(name="dev-1", group_key=GROUP_KEY):
    key = derive_device_key(group_key, name)
    password = token(dps.resource("0ne00002193", name), key)
    return Connect(name, dps.username("0ne00002193", name), password.encode())


def at_hub(name="dev-1", group_key=GROUP_KEY):
    password = token(hub.resource(HUB, name), derive_device_key(group_key, name))
    return Connect(name, hub.username(HUB, name), password.encode())


async def provision(client, name="dev-1", group_key=GROUP_KEY):
    assert await client.ask(at_dps(name, group_key)) == Connack(0)
    await client.ask(Subscribe(1, ((dps.RESPONSES, 0),)))
    registration = dps.Registration(name)
    while registration.assignment is None:
        answer = await client.ask(Publish(*registration.request()))
        registration.receive(answer.topic, answer.payload, 0)
    return registration.assignment


def dialled(port, ca):
    """A connection made by hand: nothing is read that is not asked for."""
    context = ssl.create_default_context(cafile=ca)
    raw = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
    return context.wrap_socket(raw, server_hostname="localhost")


def flood(port, ca, count):
    """Send so many messages, each PUBACK awaited."""
    client = dialled(port, ca)
    client.sendall(at_hub().encode())
    assert client.recv(4) == Connack(0).encode()
    for _ in range(count):
        client.sendall(Publish("devices/dev-1/messages/events/", b"x" * 60_000, 1, 1).encode())
        assert len(client.recv(4)) == 4
    client.close()
