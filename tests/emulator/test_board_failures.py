"""The real firmware against everything that goes wrong: it names the reason, and goes on."""

import asyncio
import binascii
import datetime
import json
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
import trustme

from keystead.record import FactoryRecord
from tests.emulator.conftest import (
    DEVICE_KEY,
    ID_SCOPE,
    MAC,
    NAME,
    RECORD,
    MakeBoard,
    said,
    watch,
)  # fmt: skip
from tests.emulator.scripted import (
    CONNACK,
    NAMES,
    Script,
    admit,
    answer,
    greet,
    packet,
    publish,
    published,
    request,
    serve,
    tls,
)
from tests.emulator.servers import LOCAL, Detour, perform
from tests.emulator.simulated import IDLE, Life

ASSIGNED = json.dumps(
    {
        "operationId": "5.1.2",
        "status": "assigned",
        "registrationState": {
            "status": "assigned",
            "assignedHub": "test-docs-hub.azure-devices.net",
            "deviceId": NAME,
        },
    }
).encode()
FAST = 30  # limits of half a minute pass in a second


class Elsewhere(Detour):
    """A life at a server that does as a script says."""

    def __init__(
        self, *arguments: object, server: Script, encrypted: bool = True, **soak: int
    ) -> None:
        super().__init__(*arguments, **soak)  # type: ignore[arg-type]
        self._server, self._encrypted = server, encrypted

    async def elsewhere(self, stack: AsyncExitStack, way: int) -> int:
        context = self.cloud.tls_context(LOCAL) if self._encrypted else None
        return await self.world.air.open(
            await stack.enter_async_context(serve(self._server, context))
        )


def perform_at(
    server: Script,
    script: Callable[[Life], Awaitable[None]],
    app: str = IDLE,
    encrypted: bool = True,
) -> None:
    """Play a script in a life at this server: in simulated time, as limits are what matters."""
    perform(partial(Elsewhere, server=server, encrypted=encrypted), script, app)


def crc(body: bytes) -> bytes:
    return body + struct.pack("<I", binascii.crc32(body))


def flipped(blob: bytes) -> bytes:
    return blob[:20] + bytes([blob[20] ^ 1]) + blob[21:]


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("a board that can not sign has no business here")


# ---- before any connection


@pytest.mark.parametrize(
    ("record", "failure"),
    [
        (None, "21 record-absent"),
        (RECORD[:40], "22 record-truncated"),
        (flipped(RECORD), "23 record-corrupt"),
        (crc(RECORD[:2] + b"\x02" + RECORD[3:-4]), "24 record-newer"),
        (crc(RECORD[:6] + b"\xa1\xb2\xc3\xd4\xe5\xf7" + RECORD[12:-4]), "25 record-foreign"),
    ],
    ids=["absent", "truncated", "one bit flipped", "newer version", "another MAC"],
)
def test_a_record_that_can_not_be_trusted_is_named(
    make_board: MakeBoard, record: bytes | None, failure: str
) -> None:
    lines = asyncio.run(watch(make_board(1, record), "next attempt"))
    said(lines, f"FAILURE {failure}")
    assert "registering" not in "\n".join(lines)


def test_no_token_is_signed_while_the_clock_is_unset(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        async with serve(never, tls(ca.issue_cert(*NAMES))) as port:
            lines = await watch(make_board(port, ntp=[None], speed=FAST), "next attempt")
        said(lines, "FAILURE 41 clock-unset: pool.ntp.org no-answer")
        assert "registering" not in "\n".join(lines)

    asyncio.run(story())


def test_a_wrong_wifi_password_is_named(make_board: MakeBoard) -> None:
    board = make_board(1, speed=FAST)
    (board.flash / "config.json").write_text(
        '{"wifi": [{"ssid": "bench", "password": "wrong one"}]}'
    )
    lines = asyncio.run(watch(board, "next attempt"))
    said(lines, "FAILURE 32 network-down (202): bench: wrong password")


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("{}", "31 network-unset: config.json names no network"),
        ("", "37 config-invalid: config.json, line 1: not JSON"),
        ('{"wifi":\n[{"ssid": 1}]}', "37 config-invalid: config.json: wifi[0].ssid is not a text"),
    ],
    ids=["no network", "empty", "wrong type"],
)
def test_a_configuration_that_can_not_be_used_is_named(
    make_board: MakeBoard, text: str, failure: str
) -> None:
    board = make_board(1)
    (board.flash / "config.json").write_text(text)
    lines = asyncio.run(watch(board, "next attempt"))
    said(lines, f"FAILURE {failure}")


# ---- on the way to the server


@pytest.mark.parametrize("known", [{"*": None}, {}], ids=["on the bench", "anywhere"])
@pytest.mark.parametrize("bits", [32, 64])
def test_a_name_that_does_not_exist_is_named(
    make_board: MakeBoard, known: dict[str, None], bits: int
) -> None:
    # "invalid" is the top level domain that no DNS answers for (RFC 6761)
    record = FactoryRecord(MAC, ID_SCOPE, NAME, DEVICE_KEY, b"", "dps.invalid").pack()
    board = make_board(1, record, hosts=known, bits=bits)
    lines = asyncio.run(watch(board, "next attempt"))
    said(lines, "FAILURE 33 name-unknown (-202): dps.invalid")


def test_a_closed_port_is_named(make_board: MakeBoard) -> None:
    lines = asyncio.run(watch(make_board(1), "next attempt"))
    said(lines, "FAILURE 34 unreachable (104)")


def certificate(ca: trustme.CA, fault: str) -> trustme.LeafCert:
    if fault == "ca":
        return trustme.CA().issue_cert(*NAMES)
    if fault == "name":
        return ca.issue_cert("elsewhere.example")
    return ca.issue_cert(*NAMES, not_after=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(
    ("fault", "failure"),
    [("ca", "51 tls-untrusted"), ("name", "52 tls-wrong-name"), ("expired", "53 tls-expired")],
)
def test_a_server_that_is_not_the_one_meant_is_refused(
    make_board: MakeBoard, ca: trustme.CA, fault: str, failure: str, bits: int
) -> None:
    async def story() -> None:
        async with serve(never, tls(certificate(ca, fault))) as port:
            lines = await watch(make_board(port, bits=bits), "next attempt")
        said(lines, f"FAILURE {failure}")

    asyncio.run(story())


def test_a_server_without_a_common_tls_version_is_named(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    context = tls(ca.issue_cert(*NAMES))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES128-SHA")

    async def story() -> None:
        async with serve(never, context) as port:
            lines = await watch(make_board(port), "next attempt")
        said(lines, "FAILURE 54 tls-failed")

    asyncio.run(story())


def test_a_missing_root_is_named(make_board: MakeBoard) -> None:
    board = make_board(1)
    (board.flash / "certs" / "bench.der").unlink()
    lines = asyncio.run(watch(board, "next attempt"))
    said(lines, "FAILURE 55 roots-absent")


# ---- servers that keep silent, each at another step


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def mute_after_connack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await packet(reader)
    writer.write(CONNACK)
    await reader.read()


async def mute_after_suback(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    await reader.read()


async def mute_after_puback(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    await request(reader, writer)
    await reader.read()


async def half_a_packet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    rid = await request(reader, writer)
    writer.write(answer(200, rid, ASSIGNED)[:-20])
    await reader.read()


async def good_bye_inside_a_packet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await greet(reader, writer)
    rid = await request(reader, writer)
    writer.write(answer(200, rid, ASSIGNED)[:-20])
    writer.close()  # TLS says so, but TCP stays until the board hangs up: a read would block
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("script", "encrypted", "what"),
    [
        (mute, False, "the TLS hand-shake"),
        (mute, True, "the TLS hand-shake and CONNACK"),
        (mute_after_connack, True, "SUBACK"),
        (mute_after_suback, True, "PUBACK"),
        (mute_after_puback, True, "DPS to answer"),
        (half_a_packet, True, "the rest of a packet"),
        (good_bye_inside_a_packet, True, "the rest of a packet"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_no_wait_is_without_a_limit(script: Script, encrypted: bool, what: str) -> None:
    async def story(life: Life) -> None:
        await life.said("next attempt")
        assert life.count(f"FAILURE 35 no-answer: waiting for {what}") == 1

    perform_at(script, story, encrypted=encrypted)


# ---- servers that do not speak MQTT, or not DPS


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await packet(reader)


async def hang_up_inside_a_packet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await greet(reader, writer)
    rid = await request(reader, writer)
    writer.write(answer(200, rid, ASSIGNED)[:-20])
    await writer.drain()


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()


async def endless_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    await request(reader, writer)
    writer.write(b"\x30\xff\xff\xff\xff\xff")
    await reader.read()


async def oversized(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    await request(reader, writer)
    writer.write(b"\x30\xff\xff\xff\x7f")
    await reader.read()


async def long_topic(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    await request(reader, writer)
    writer.write(b"\x30\x04\xff\xffab")
    await reader.read()


async def quality_2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    await request(reader, writer)
    writer.write(b"\x34\x07\x00\x01a\x00\x01bc")
    await reader.read()


async def not_json(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    rid = await request(reader, writer)
    writer.write(answer(200, rid, b"<html>503</html>"))
    await reader.read()


async def topic_of_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greet(reader, writer)
    rid = await request(reader, writer)
    writer.write(answer(200, rid, ASSIGNED).replace(b"$dps", b"\xff\xfe\xfd\xfc"))
    await reader.read()


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (hang_up, "36 connection-lost: the server closed it"),
        (hang_up_inside_a_packet, "36 connection-lost: the server closed it"),
        (http, "71 mqtt-garbled: no CONNACK"),
        (endless_length, "71 mqtt-garbled: length of more than four bytes"),
        (long_topic, "71 mqtt-garbled: a topic longer than its packet"),
        (quality_2, "71 mqtt-garbled: packet 34"),
        (oversized, "72 mqtt-oversized: 268435455 bytes"),
        (not_json, "73 dps-garbled: the answer is not JSON"),
        (topic_of_bytes, "73 dps-garbled: a topic that is not UTF-8"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_can_not_be_understood_is_named(
    make_board: MakeBoard, ca: trustme.CA, script: Script, failure: str
) -> None:
    async def story() -> None:
        async with serve(script, tls(ca.issue_cert(*NAMES))) as port:
            lines = await watch(make_board(port), "next attempt")
        said(lines, f"FAILURE {failure}")

    asyncio.run(story())


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_a_refused_connect_is_named_with_its_code(
    make_board: MakeBoard, ca: trustme.CA, code: int
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(b"\x20\x02\x00" + bytes([code]))
        await reader.read()

    async def story() -> None:
        async with serve(refuse, tls(ca.issue_cert(*NAMES))) as port:
            lines = await watch(make_board(port), "next attempt")
        reason = "65 dps-unavailable" if code == 3 else "61 dps-refused"
        said(lines, f"FAILURE {reason} ({code}): CONNACK {code}")

    asyncio.run(story())


# ---- and what time mends


def test_a_throttled_registration_goes_on_when_dps_lets_it() -> None:
    async def throttle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        for status in (429, 503, 200):
            rid = await request(reader, writer)
            tail = "" if status == 200 else "&retry-after=2"
            # somebody else's answer first: it must not count
            writer.write(answer(401, "999", b"{}"))
            writer.write(answer(status, rid, ASSIGNED if status == 200 else b"", tail))
        await reader.read()

    async def story(life: Life) -> None:
        await life.said("assigned hub")
        assert life.count("provisioning status: dps-throttled") == 1
        assert life.count("provisioning status: dps-unavailable") == 1

    perform_at(throttle, story)


def test_a_hub_that_refuses_sends_the_board_back_to_dps() -> None:
    users: list[str] = []

    async def moved(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await packet(reader)
        is_dps = b"/registrations/" in body
        users.append("dps" if is_dps else "hub")
        if not is_dps:
            if users.count("hub") == 1:
                writer.write(b"\x20\x02\x00\x05")
            else:
                writer.write(CONNACK)
                await admit(reader, writer)
            await reader.read()
            return
        writer.write(CONNACK)
        _, body = await packet(reader)
        writer.write(b"\x90\x03" + body[:2] + b"\x01")
        writer.write(answer(200, await request(reader, writer), ASSIGNED))
        await reader.read()

    async def story(life: Life) -> None:
        await life.connected()
        assert life.count("FAILURE 81 hub-refused (5): CONNACK 5") == 1
        assert users == ["dps", "hub", "dps", "hub"]

    perform_at(moved, story)


async def telemetry(reader: asyncio.StreamReader) -> bytes:
    """Return the body of the first packet at QoS 1."""
    kind = 0
    while kind != 0x32:
        kind, body = await packet(reader)
    return body


def test_a_lost_hub_is_dialled_again_without_asking_dps() -> None:
    users: list[str] = []

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await packet(reader)
        is_dps = b"/registrations/" in body
        users.append("dps" if is_dps else "hub")
        writer.write(CONNACK)
        if is_dps:
            _, body = await packet(reader)
            writer.write(b"\x90\x03" + body[:2] + b"\x01")
            writer.write(answer(200, await request(reader, writer), ASSIGNED))
            await reader.read()
        elif users.count("hub") > 1:
            await admit(reader, writer)
            topic, packet_id, _ = published(await telemetry(reader))
            users.append("telemetry with n=1" if "n=1" in topic else topic)
            # a message must not disturb the PUBACK behind it
            writer.write(publish("devices/x/messages/devicebound/", b"hello", 1))
            writer.write(b"\x40\x02" + packet_id)
            kind = 0x30  # what it reports to its twin
            while kind == 0x30:
                kind, acknowledged = await packet(reader)
            users.append(f"{kind:02x} {acknowledged.hex()}")
            await reader.read()

    app = (
        "def run(device):\n"
        "    device.on_message(lambda payload, properties: None)\n"
        "    device.send('one', {'n': '1'})\n"
        "    device.wait(1)\n"
        "    print('sent')\n"
    )

    async def story(life: Life) -> None:
        await life.said("sent")
        await asyncio.sleep(1)  # of the simulation: for what is on its way
        assert life.count("FAILURE 36 connection-lost") == 1
        assert users == ["dps", "hub", "hub", "telemetry with n=1", "40 0007"]

    perform_at(drop, story, app)


# ---- the application and the chip


async def cloud(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A DPS and a hub that like everybody."""
    _, body = await packet(reader)
    writer.write(CONNACK)
    if b"/registrations/" in body:
        _, body = await packet(reader)
        writer.write(b"\x90\x03" + body[:2] + b"\x01")
        writer.write(answer(200, await request(reader, writer), ASSIGNED))
    else:
        await admit(reader, writer)
    await reader.read()


@pytest.mark.parametrize(
    ("app", "failure"),
    [
        (None, "91 app-absent"),
        ("def run(device): 1 / 0", "92 app-broken: ZeroDivisionError"),
        ("import nonsense", "92 app-broken: ImportError"),
        ("def run(device): bytearray(10**6)", "12 out-of-memory"),
    ],
)
def test_a_broken_application_is_named(
    make_board: MakeBoard, ca: trustme.CA, app: str | None, failure: str
) -> None:
    async def story() -> None:
        async with serve(cloud, tls(ca.issue_cert(*NAMES))) as port:
            board = make_board(port)
            (board.flash / "app.py").unlink()
            if app:
                (board.flash / "app.py").write_text(app)
            lines = await watch(board, "next start")
        said(lines, f"FAILURE {failure}")

    asyncio.run(story())


def test_the_watchdog_ends_an_application_that_never_waits(
    make_board: MakeBoard, ca: trustme.CA
) -> None:
    async def story() -> None:
        async with serve(cloud, tls(ca.issue_cert(*NAMES))) as port:
            board = make_board(port, speed=FAST)
            # ten seconds of ours are five minutes of its; one has to do
            (board.flash / "app.py").write_text(
                "import world\n"
                "def run(device):\n"
                "    guard = world.guard\n"
                "    world.guard = lambda milliseconds: guard(milliseconds // 10)\n"
                "    device.feed()\n"
                "    while True: pass\n"
            )
            async with board.powered() as console:
                lines = [line async for line in console]
            said(lines, "hub: connected")
            assert board.bitten
            again = await watch(board, "hub: connected")
        said(again, "FAILURE 13 watchdog")

    asyncio.run(story())


def test_the_mac_in_the_log_is_the_chips(make_board: MakeBoard) -> None:
    lines = asyncio.run(watch(make_board(1), "next attempt"))
    assert ":".join(f"{byte:02x}" for byte in MAC) in lines[0]
