# DPS as a state machine: what each answer does.
import json

from keystead import dps
from keystead.failure import Failure

NAME = "sn-1"
OPERATION = "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550"
ASSIGNING = json.dumps({"operationId": OPERATION, "status": "assigning"}).encode()


def body(**fields):
    return json.dumps(fields).encode()


def state(**fields):
    return body(operationId=OPERATION, status="assigning", registrationState=fields)


def tell(name, registration, topic, payload, chance=0.5):
    try:
        wait = registration.receive("$dps/registrations/res/" + topic, payload, chance)
        print(name, "->", wait, registration.status, registration.assignment)
    except Failure as failure:
        print(name, "->", failure, failure.retry_after)


def fresh():
    registration = dps.Registration(NAME)
    registration.request()
    return registration


print(dps.username("0ne1", NAME), dps.resource("0ne1", NAME), dps.RESPONSES)
print(sorted(json.loads(dps.Registration(NAME, {"modelId": "dtmi:a;1"}).request()[1]).items()))
story = fresh()
tell("assigning", story, "202/?$rid=1&retry-after=3", ASSIGNING)
print(story.request())
tell("somebody else's", story, "202/?$rid=1&retry-after=3", ASSIGNING)
tell("order reversed", story, "202/?retry-after=120&$rid=2", ASSIGNING)
print(story.request()[0])
tell("throttled", story, "429/?$rid=3&retry-after=7", b"")
print(story.request()[0])
tell("fault", story, "500/?$rid=4", b"<html>")
print(story.request()[0])
tell("assigned", story, "200/?$rid=5", state(status="assigned", assignedHub="h.net",
     deviceId="pump-7", substatus="initialAssignment", payload={"a": [1]}))  # fmt: skip

for retry_after in ("", "0", "-1", "x", "99999", "999999999999"):
    tell(
        "retry-after " + retry_after, fresh(), "202/?$rid=1&retry-after=" + retry_after, ASSIGNING
    )
for status, code in ((400, 400004), (401, 401002), (403, 403000), (404, 404201), (409, 409203)):
    tell(str(status), fresh(), "%d/?$rid=1" % status, body(errorCode=code, message="No\nway"))
tell("no code", fresh(), "401/?$rid=1", b"{}")
for status in (400, 401, 404):
    tell("%d without a word" % status, fresh(), "%d/?$rid=1" % status, b"")
for status in ("", "abc", "0", "100"):
    tell("status " + status, fresh(), status + "/?$rid=1", ASSIGNING)
tell(
    "failed", fresh(), "200/?$rid=1", state(status="failed", errorCode=400207, errorMessage="hook")
)
tell("disabled", fresh(), "200/?$rid=1", state(status="disabled"))
tell("unassigned", fresh(), "202/?$rid=1", state(status="unassigned"))
tell("no status", fresh(), "200/?$rid=1", b"{}")
tell("no operation", fresh(), "202/?$rid=1", b'{"status": "assigning"}')
tell("no hub", fresh(), "200/?$rid=1", state(status="assigned", deviceId="d"))
for text in (b"", b"{", b"[]", b"null", b"\xff", b'"assigned"', b"[" * 3000):
    # MicroPython takes "{" for "{}", so only the reason is the same
    try:
        fresh().receive("$dps/registrations/res/200/?$rid=1", text, 0)
        print("accepted", text)
    except Failure as failure:
        print("garbled", len(text), failure.reason)
lost = fresh()
tell("assigning", lost, "202/?$rid=1", ASSIGNING)
lost.request()
tell("operation expired", lost, "404/?$rid=2", body(errorCode=404202))
print(lost.request()[0])
busy = fresh()
for turn in range(1, 7):
    tell("busy", busy, "429/?$rid=%d&retry-after=2" % turn, b"{}")
    busy.request()
endless = fresh()
turn = 1
try:
    while True:
        endless.receive("$dps/registrations/res/202/?$rid=%d" % turn, ASSIGNING, 0)
        endless.request()
        turn += 1
except Failure as failure:
    print("endless ->", failure)
