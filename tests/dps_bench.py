"""A DPS and its hubs on a fake clock, with dice that always fall alike."""

import json
from dataclasses import replace
from pathlib import Path

from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment
from host_tools.emulator.dps.service import Dps
from host_tools.emulator.events import Event
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.store.database import Database
from host_tools.keys import derive_device_key
from keystead import dps as device
from keystead.sas import sas_token

NOW = 1661983370.5163352
HUB = "test-docs-hub.azure-devices.net"
OTHER = "other-hub.azure-devices.net"
KEYS = KeyPair(b"p" * 64, b"s" * 64)
GROUP = EnrollmentGroup("mylegacydevices", HUB, KEYS)
INDIVIDUAL = IndividualEnrollment("bench-1", OTHER, KEYS, "pump-7")
CONFIG = Config(groups=(GROUP,), individuals=(INDIVIDUAL,))
AT_ONCE = replace(CONFIG, assigning_replies=0)
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid="
POLL = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid={}&operationId={}"


class Hook:
    """A web-hook that answers when it is told to."""

    def __init__(self):
        self.calls = []

    def __call__(self, webhook, body, done):
        self.calls.append((webhook, body, done))

    def answer(self, outcome, number=-1):
        self.calls[number][2](outcome)


class Bench:
    """DPS and hubs on one database."""

    def __init__(self, directory: Path, config=CONFIG, advertise="", now=NOW, hub_for=None):
        self.events: list[Event] = []
        self.at_hubs: list[Event] = []
        self.config = config
        self.database = Database(directory)
        self.hook = Hook()
        self._dice = 0
        self.hubs = Hubs(config.hubs, self.database, self.at_hubs.append, advertise, self.random)
        self.dps = Dps(
            config,
            self.database,
            self.hubs,
            self.events.append,
            self.random,
            now,
            0.0,
            advertise,
            self.hook,
            hub_for or (lambda registration_id, now: None),
        )

    def random(self, count):
        self._dice += 1
        return self._dice.to_bytes(2, "big") * (count // 2)

    def close(self):
        self.database.close()

    def connect(self, name="dev-1", key=None, now=NOW, subscribed=True, version="", **changes):
        key = key or derive_device_key(KEYS.primary, name)
        scope = self.config.id_scope
        token = sas_token(device.resource(scope, name), key, int(NOW) + 3600, "registration")
        username = device.username(scope, name)
        if version:
            username = f"{scope}/registrations/{name}/api-version={version}"
        connect = Connect(name, username, token.encode())
        peer = self.dps.connect(replace(connect, **changes), now)
        if subscribed:
            assert peer.subscribe(device.RESPONSES, 1) == 1
        return peer

    def state(self, name="dev-1", key=None, now=NOW, version="", body=b""):
        """Register; return the answer's registrationState, for a DPS that answers at once."""
        peer = self.connect(name, key, now, version=version)
        return ask(peer, REGISTER + "1", body, now)[1]["registrationState"]

    def where(self, device_id):
        """Return the hubs that have a device."""
        return [
            hub.name
            for hub in self.hubs.all()
            if any(one.device_id == device_id for one in hub.devices())
        ]


def ask(peer, topic, body=b"", now=NOW):
    """Publish one request; return the answer's topic and its JSON."""
    (message,) = peer.publish(Publish(topic, body, 1, 1), now)
    return message.topic, json.loads(message.payload)
