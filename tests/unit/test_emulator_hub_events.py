"""What a hub tells: lines that a terminal can show, JSON for scripts, each with a name."""

import json

import pytest

from host_tools.emulator.hub import events
from host_tools.emulator.hub.events import (
    DeviceCreated,
    DeviceDeleted,
    DeviceDisabled,
    DeviceEnabled,
    FeedbackReady,
    HubEvent,
    MessageCompleted,
    MessageDeadLettered,
    MessageDelivered,
    MessageEvent,
    MessageExpired,
    MessagePurged,
    MessageSent,
    MethodAnswered,
    MethodCalled,
    MethodFailed,
    TwinChanged,
)

AT = 1_700_000_000.25
HUB = "test-docs-hub.azure-devices.net"
WHO = (AT, HUB, "dev-1")
LINES = {
    DeviceCreated(*WHO): f"dev-1 was created at {HUB}",
    DeviceDeleted(*WHO): f"dev-1 was deleted at {HUB}",
    DeviceEnabled(*WHO): f"dev-1 was enabled at {HUB}",
    DeviceDisabled(*WHO): f"dev-1 was disabled at {HUB}",
    TwinChanged(*WHO, "tags", 3): "dev-1: tags changed, version 3",
    TwinChanged(*WHO, "desired", 2): "dev-1: desired properties changed, version 2",
    MessageSent(*WHO, 7, "m1"): "dev-1: message 7 m1 is queued",
    MessageSent(*WHO, 7, ""): "dev-1: message 7 is queued",
    MessageDelivered(*WHO, 7, "m1", 1): "dev-1: message 7 m1 went out",
    MessageDelivered(*WHO, 7, "m1", 2): "dev-1: message 7 m1 went out, time 2",
    MessageCompleted(*WHO, 7, "m1"): "dev-1: message 7 m1 is completed",
    MessageExpired(*WHO, 7, "m1"): "dev-1: message 7 m1 expired",
    MessageDeadLettered(*WHO, 7, "m1"): (
        "dev-1: message 7 m1 is given up: it was delivered too often and never acknowledged"
    ),
    MessagePurged(*WHO, 7, "\x1b[31m"): "dev-1: message 7 .[31m was deleted from the queue",
    FeedbackReady(*WHO, "m1", "Success"): "feedback on dev-1's message m1: Success",
    MethodCalled(*WHO, "reboot", "1a"): "dev-1: method reboot called",
    MethodAnswered(*WHO, "reboot", "1a", 200): "dev-1: method reboot answered with 200",
    MethodFailed(*WHO, "reboot", 504101, "no answer"): "dev-1: method reboot failed: no answer",
    MessageSent(AT, HUB, "x" * 300, 7, "m"): "x" * 160,
}


@pytest.mark.parametrize(("event", "line"), list(LINES.items()), ids=range(len(LINES)))
def test_an_event_is_a_line_that_a_terminal_can_show(event, line):
    assert event.line() == line


@pytest.mark.parametrize("event", list(LINES), ids=range(len(LINES)))
def test_an_event_is_a_line_of_json(event):
    text = event.json()
    document = json.loads(text)
    assert "\n" not in text
    assert (document["event"], document["hub"]) == (event.NAME, HUB)
    assert document["time"] == "2023-11-14T22:13:20.250+00:00"


def test_each_event_has_a_name_of_its_own():
    kinds = [
        one
        for one in vars(events).values()
        if isinstance(one, type) and issubclass(one, HubEvent) and one.NAME
    ]
    assert len({one.NAME for one in kinds}) == len(kinds)
    assert set(kinds) == {type(event) for event in LINES}
    assert not MessageEvent.NAME
