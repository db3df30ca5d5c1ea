# Registration IDs, property bags, back-off and failures: text in, text out.
from keystead import hub
from keystead.backoff import backoff
from keystead.catalogue import entry
from keystead.failure import Failure
from keystead.registration_id import check, format_mac, parse_mac, render

MAC = b"\xa1\xb2\xc3\xd4\xe5\xf6"


def attempt(function, *arguments):
    try:
        print(arguments, "->", function(*arguments))
    except ValueError as error:
        print(arguments, "->", error)


attempt(render, "sn-{serial}-mac-{mac}", "007-888-abc", MAC)
attempt(render, "sn-{serial}-mac-{mac}", "007 888", MAC)
attempt(render, "{unknown}", "1", MAC)
for text in ("a", "a-b", "A", "a.b", "a_b", "a:b", "-a", "a-", "", "a" * 128, "a" * 129, "~"):
    attempt(check, text)
    attempt(check, text, True)
for text in (
    "a1:b2:c3:d4:e5:f6",
    "A1B2C3D4E5F6",
    "a1-b2",
    "a1:b2:c3:d4:e5:fg",
    "+a+b+c+d+e+f",
    "aa1:b2:c3:d4:e5:f",
    "a1-b2:c3-d4:e5-f6",
    "",
    "a1:b2:c3:d4:e5:f6:07",
):
    attempt(parse_mac, text)
print(format_mac(MAC), format_mac(MAC, ":"))
print(hub.username("h.net", "d"), hub.resource("h.net", "d"), hub.telemetry_topic("d"))
topic = (hub.telemetry_topic("d", {"message_id": "id-1", "correlation_id": "c/1",
      "content_type": "application/json", "content_encoding": "utf-8"}))  # fmt: skip
print(sorted(topic.partition("events/")[2].split("&")))  # a dict has no order on MicroPython
assert topic.startswith("devices/d/messages/events/%24.")
print(hub.property_bag({"alarm level": "high&low"}), hub.property_bag({"flag": None}),
      hub.property_bag({"empty": ""}), hub.property_bag({"\u00e9": "\u65e5"}))  # fmt: skip
for attempt_number in range(1, 12):
    print("%.3f" % backoff(attempt_number, 0.5), "%.3f" % backoff(attempt_number, 0), end=" ")
print()
print("%.2f" % backoff(1000, 0.99), "%.2f" % backoff(1, 0.5, 60, 7200))
print(entry("dps-unknown")[0])
print(Failure("dps-failed", "a\x1b[31m\r\n" + "b" * 200, 400207))
