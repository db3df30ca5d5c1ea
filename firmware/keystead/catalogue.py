"""The catalogue of failures: every reason, its number, what happened and what to do.

The one source for the serial log, the LED, the last-failure record in flash and
docs/failures.md, which is generated from it. Loaded only when something failed.

Numbers have two digits from 1 to 9, so that an LED can blink them: tens, pause, units. The tens
digit is the step of the boot: 1 program, 2 factory record, 3 network, 4 clock, 5 TLS, 6 DPS,
7 MQTT, 8 hub, 9 application.
"""

# (number, reason, what happened, what to do)
CATALOGUE = (
    (11, "bug", "The firmware met an error it does not know",
     "Send the traceback on the serial console to the developers; the board tries again."),
    (12, "out-of-memory", "The Python heap was too small for a step",
     "Free memory in app.py, or use a board with more; the board tries again."),
    (13, "watchdog", "The board stopped making progress and was reset by its watchdog",
     "Look for a loop in app.py that never waits; then look at the network."),
    (21, "record-absent", "There is no factory record in flash",
     "Install one: docs/boards.md, 'Install the factory record'."),
    (22, "record-truncated", "The factory record ends too early",
     "Install the factory record again."),
    (23, "record-corrupt", "The factory record is damaged",
     "Install the factory record again; if it comes back, the flash is failing."),
    (24, "record-newer", "The factory record was made for newer firmware",
     "Update the firmware, or make the record with this version's tools."),
    (25, "record-foreign", "The factory record belongs to another board",
     "Do not copy flash from board to board: install this board's own record."),
    (26, "record-garbled", "A field of the factory record can not be right",
     "Make the factory record again with this version's tools."),
    (31, "network-unset", "No network is configured",
     "Put the Wi-Fi name and password into config.json: docs/boards.md."),
    (32, "network-down", "The network could not be joined",
     "Check name and password in config.json, the access point, and the distance to it."),
    (33, "name-unknown", "A host name could not be resolved",
     "Check DNS: can another machine on this network resolve the name?"),
    (34, "unreachable", "The server refused the connection or there is no route to it",
     "Open outgoing TCP port 8883 on the firewall; check gateway and DPS endpoint."),
    (35, "no-answer", "The server did not answer in time",
     "Check the uplink; a firewall that drops silently looks just like this."),
    (36, "connection-lost", "The connection broke",
     "Nothing, if it comes back; if it happens again and again, check radio and uplink."),
    (41, "clock-unset", "The board does not know the time, so it can not sign a token",
     "Allow NTP (UDP port 123) or set the NTP host in config.json to one on site."),
    (51, "tls-untrusted", "The server's certificate is not signed by a root this board trusts",
     "Is a proxy opening TLS? Else install the current roots in certs/."),
    (52, "tls-wrong-name", "The server's certificate is for another host name",
     "Check the DPS endpoint in the factory record; is DNS sent to another machine?"),
    (53, "tls-expired", "The server's certificate is not valid at this board's time",
     "Check the board's clock first, then the server's certificate."),
    (54, "tls-failed", "The TLS hand-shake failed",
     "The code is mbedTLS's own; look for a middlebox that opens TLS."),
    (55, "roots-absent", "There is no usable root certificate in certs/",
     "Install the firmware again, with its certs folder."),
    (61, "dps-refused", "DPS refused the connection",
     "Check ID scope, device key and clock; 4 and 5 are MQTT's codes for bad credentials."),
    (62, "dps-unauthorized", "DPS refused the signature: wrong key",
     "Was the group key regenerated? Is the individual enrollment's own key installed?"),
    (63, "dps-unknown", "DPS knows no enrollment for this device",
     "Check ID scope and registration ID; create the enrollment or its group."),
    (64, "dps-throttled", "DPS is overloaded and asks to wait",
     "Nothing; the board waits. Stagger the first boots of large batches."),
    (65, "dps-unavailable", "DPS has a fault of its own",
     "Nothing; the board waits. Look at the service's status page if it lasts."),
    (66, "dps-rejected", "DPS did not accept the request",
     "Look the code up in docs/protocol.md; the enrollment or the firmware is at fault."),
    (67, "dps-failed", "DPS could not assign a hub",
     "Check the enrollment's allocation: is a hub linked, does the web-hook answer?"),
    (68, "dps-disabled", "The enrollment is disabled",
     "Enable it in the portal if this device should be let in."),
    (69, "dps-endless", "DPS kept answering 'assigning'",
     "Nothing; the board starts over. Check the allocation web-hook if it lasts."),
    (71, "mqtt-garbled", "The server sent something that is not MQTT 3.1.1",
     "Is the endpoint really DPS or a hub? Look for a middlebox."),
    (72, "mqtt-oversized", "The server sent a message too large for this board",
     "Send smaller cloud-to-device messages."),
    (73, "dps-garbled", "DPS answered something that can not be understood",
     "Try again; send the serial log to the developers if it lasts."),
    (81, "hub-refused", "The hub refused the connection",
     "Is the device enabled in the hub? Is the clock right? The board asks DPS again."),
    (82, "hub-unavailable", "The hub is there but does not take connections now",
     "Nothing; the board waits. Look at the service's status page if it lasts."),
    (91, "app-absent", "There is no app.py on the board",
     "Copy an app.py with a function run(device) to the board."),
    (92, "app-broken", "app.py raised an exception",
     "Mend app.py: its traceback is on the serial console."),
)  # fmt: skip


def entry(reason: str) -> tuple[int, str, str]:
    """Return (number, what happened, what to do) of a reason, e.g. "record-absent"."""
    for number, name, happened, remedy in CATALOGUE:
        if name == reason:
            return number, happened, remedy
    raise KeyError(reason)
