"""Configurations, as a JSON parser reads them: what is taken of them, what is refused."""

import json

from keystead.configuration import read
from keystead.failure import Failure

WIFI = '{"wifi": [{"ssid": "hall"}], %s}'
LAN = '{"ethernet": {"phy": "LAN8720", "mdc": 23, "mdio": %s}}'
TEXTS = (
    '{"wifi": [{"ssid": "hall", "password": ""}]}',
    WIFI % '"journal": {}, "ntp": "one", "log": "debug", "spread": 0',
    WIFI % '"journal": {"days": 1}, "ntp": ["one", "two"], "payload": {"a": 1}, "app": [null]',
    LAN % "18",
    LAN % "true",
    LAN % "1.0",
    LAN % "-1",
    LAN % '"18"',
    LAN % "123456789012345678901234567890",
    "[]",
    "null",
    "{}",
    '{"wifi": []}',
    '{"wifi": [{"ssid": "hall"}, {"password": ""}]}',
    '{"wifi": [{"ssid": "hall", "password": "1234567"}]}',
    '{"wifi": [{"ssid": "%s"}]}' % ("\u00e9" * 17),
    WIFI % '"wfi": 1',
    WIFI % '"spread": ""',
    WIFI % '"ntp": false',
    WIFI % '"order": ["wifi", "lan"]',
    WIFI % '"cellular": {"uart": 1, "tx": 2, "rx": 3, "apn": "a", "pin": "123"}',
)

for text in TEXTS:
    try:
        one = read(json.loads(text))
        print([kind for kind, _ in one.links], one.ntp, one.journal, one.log, one.payload,
              one.spread, one.app)  # fmt: skip
    except Failure as failure:
        print(failure)
