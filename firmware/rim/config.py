"""The configuration: config.json on the board, what differs from site to site.

Owns the file and its checks. Holds Wi-Fi passwords, so it is never shown whole.
{"wifi": [{"ssid": "...", "password": "..."}], "ntp": "host on site, or leave it out"}
"""

import json

from keystead.failure import Failure

_FILE = "config.json"


def load() -> tuple:
    """Return (known networks, NTP host): a list of (ssid, password) and a str, "" for none.

    Raises Failure network-unset where the file is absent or can not be used.
    """
    try:
        with open(_FILE) as file:
            document = json.load(file)
    except OSError:
        raise Failure("network-unset", "there is no " + _FILE)
    except ValueError:
        raise Failure("network-unset", _FILE + " is not JSON")
    if not isinstance(document, dict):
        raise Failure("network-unset", _FILE + " is not a JSON object")
    return _networks(document.get("wifi")), _text(document, "ntp", "")


def _networks(entries) -> list:
    if not isinstance(entries, list) or not entries:
        raise Failure("network-unset", _FILE + ": wifi is not a list with an entry")
    networks = []
    for entry in entries:
        if not isinstance(entry, dict) or "ssid" not in entry:
            raise Failure("network-unset", _FILE + ": an entry of wifi has no ssid")
        networks.append((_text(entry, "ssid", ""), _text(entry, "password", "")))
    return networks


def _text(document, key, default) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise Failure("network-unset", "%s: %s is not a text" % (_FILE, key))
    return value
