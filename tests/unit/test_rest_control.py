"""The control interface: messages without AMQP, status, and who may see what."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.datastructures import QueryParams

from host_tools.emulator.events import Connected, Event, Telemetry
from host_tools.emulator.rest import control_file
from host_tools.emulator.rest.event_log import EventLog
from host_tools.emulator.rest.event_stream import Filter
from host_tools.errors import CommandError
from tests.unit.rest_bench import HUB, OTHER_HUB, TOKEN, Bench, awaited, bench
from tests.unit.test_rest_devices import words

MESSAGES = f"/keystead/hubs/{HUB}/devices/pump-7/messages"
C2D = "devices/pump-7/messages/devicebound/#"
CONTROL = f"Bearer {TOKEN}"


@awaited
async def test_a_message_reaches_the_device_with_all_its_properties() -> None:
    with bench() as it:
        device = it.connected(await it.create(), C2D)
        answer = await it.ask(
            "POST", f"{MESSAGES}?alarm=high%26low&empty=", b"\x00hello", message_id="m-1",
            correlation_id="c-1", content_type="application/json", content_encoding="utf-8",
        )  # fmt: skip
        assert (answer.status_code, answer.content) == (204, b"")
        it.hubs.expire(1.0, 1.0)
        (message,) = device.got
        assert message.payload == b"\x00hello"
        for part in ("mid=m-1", "cid=c-1", "ct=application%2Fjson", "ce=utf-8"):
            assert f"%24.{part}" in message.topic
        assert "alarm=high%26low" in message.topic


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"expiry": "soon"}, "not a number"),
        ({"expiry": "-1"}, "not a number"),
        ({"expiry": "999999"}, "two days"),
        ({"ack": "maybe"}, ""),
    ],
)
@awaited
async def test_a_wrong_message_is_refused(headers: dict[str, str], why: str) -> None:
    with bench() as it:
        await it.create()
        assert why in words(
            await it.ask("POST", MESSAGES, b"x", **headers), 400, "ArgumentInvalid"
        )
        assert it.hub.pending("pump-7") == 0


@awaited
async def test_a_queue_has_its_limits() -> None:
    with bench() as it:
        words(await it.ask("POST", MESSAGES, b"x"), 404, "DeviceNotFound")
        await it.create()
        words(await it.ask("POST", MESSAGES, b"x" * 70_000), 413, "MessageTooLarge")
        for _ in range(50):
            assert (await it.ask("POST", MESSAGES, b"x")).status_code == 204
        words(await it.ask("POST", MESSAGES, b"x"), 403, "DeviceMaximumQueueDepthExceeded")


@awaited
async def test_the_control_interface_is_for_who_has_the_token() -> None:
    def more(it: Bench) -> dict:
        return {"traces": lambda device: [{"device": device}]}

    with bench(more) as it:
        for path in ("/keystead/status", "/keystead/faults", "/keystead/traces"):
            assert (await it.ask("GET", path, authorization=CONTROL)).status_code == 200
            for wrong in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", it.token()):
                words(
                    await it.ask("GET", path, authorization=wrong), 401, "IotHubUnauthorizedAccess"
                )
        traces = await it.ask("GET", "/keystead/traces?device=a", authorization=CONTROL)
        assert traces.json() == [{"device": "a"}]


@awaited
async def test_without_traces_it_says_how_to_have_some() -> None:
    with bench() as it:
        answer = await it.ask("GET", "/keystead/traces", authorization=CONTROL)
        assert "--trace" in words(answer, 501, "NotImplemented")


@awaited
async def test_a_hubs_policy_opens_its_own_hub_only() -> None:
    with bench() as it:
        theirs = f"/keystead/hubs/{OTHER_HUB}/devices"
        words(await it.ask("GET", theirs), 401, "IotHubUnauthorizedAccess")
        assert (await it.ask("GET", f"/keystead/hubs/{HUB}/devices")).status_code == 200
        events = f"/keystead/events?follow=0&hub={OTHER_HUB}"
        words(await it.ask("GET", events), 401, "IotHubUnauthorizedAccess")


# --- the log


def telemetry(number: int, size: int = 10) -> Telemetry:
    return Telemetry(float(number), HUB, f"d{number % 3}", b"x" * size, "")


def test_a_log_keeps_the_last_events_by_number() -> None:
    log = EventLog(most=3)
    assert (log.first, log.last, list(log.since(0, 9))) == (1, 0, [])
    for number in range(5):
        log.take(telemetry(number))
    assert (log.first, log.last) == (3, 5)
    assert [number for number, _ in log.since(0, 9)] == [3, 4, 5]
    assert [number for number, _ in log.since(3, 1)] == [4]
    assert [event.time for _, event in log.since(4, 9)] == [4.0]


def test_a_log_keeps_no_more_bytes_than_it_may() -> None:
    log = EventLog(most=100, largest=25)
    for number in range(5):
        log.take(telemetry(number))
        log.take(Connected(0.0, HUB, "d", ""))
    kept = [event for _, event in log.since(0, 99) if isinstance(event, Telemetry)]
    assert [event.time for event in kept] == [3.0, 4.0]
    log.take(telemetry(9, size=1000))
    assert log.first == log.last + 1


def test_who_waits_is_woken_by_each_event() -> None:
    log, woken = EventLog(), []
    log.take(telemetry(1))
    with log.woken(lambda: woken.append(log.last)):
        log.take(telemetry(2))
        log.take(telemetry(3))
    log.take(telemetry(4))
    assert woken == [2, 3]


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", "tc"),
        ("event=telemetry", "t"),
        ("event=telemetry&event=connected", "tc"),
        ("device=d1", "t"),
        ("device=D1", ""),
        ("device=d1&device=d2", "tc"),
        (f"hub={HUB.upper()}", "t"),
        ("hub=DPS", "c"),
        (f"hub={HUB}&event=connected", ""),
    ],
)
def test_a_filter_passes_what_is_asked_for(query: str, seen: str) -> None:
    events: list[Event] = [telemetry(1), Connected(0.0, "DPS", "d2", "")]
    wanted = Filter.parse(QueryParams(query))
    assert "".join(one.NAME[0] for one in events if wanted.passes(one)) == seen


# --- the control file

KNOWN = control_file.Control("https://localhost:1", "/ca.pem", "secret", "https://portal")


def test_a_control_file_is_there_as_long_as_its_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    with control_file.published(KNOWN, tmp_path) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert control_file.load(tmp_path) == control_file.load() == KNOWN
        assert "secret" not in repr(KNOWN)
        assert "portal" not in repr(KNOWN)
    for directory in (tmp_path, None):
        with pytest.raises(CommandError, match="start `keystead cloud`"):
            control_file.load(directory)


def test_the_cloud_started_last_is_found_and_an_earlier_ones_end_is_not_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    later = replace(KNOWN, token="later")
    with ExitStack() as earlier_one:
        earlier_one.enter_context(control_file.published(KNOWN, tmp_path / "one"))
        with control_file.published(later, tmp_path / "two"):
            assert control_file.load() == later
            earlier_one.close()
            assert control_file.load() == later
    with pytest.raises(CommandError):
        control_file.load()


def test_a_folder_that_others_may_write_to_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "keystead"
    folder.mkdir()
    (folder / "control.json").write_text('{"url": "u", "ca": "c", "token": "t", "portal": "p"}')
    folder.chmod(0o777)
    with pytest.raises(CommandError, match="no cloud started by you runs"):
        control_file.load()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "u"}', "5", '"x"', "[" * 9999])
def test_what_is_no_control_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "control.json").write_text(text)
    with pytest.raises(CommandError, match="is not a cloud's control file"):
        control_file.load(tmp_path)
