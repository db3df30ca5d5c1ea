"""Nothing waits for ever: whatever goes silent is named within its limit, and come back to.

The bounds are seconds of the chip, as its log has them, in simulated time: see simulated.py.
"""

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack
from functools import partial

import pytest
import trustme

from tests.emulator.conftest import MakeBoard, said, watch
from tests.emulator.scripted import NAMES, packet, publish, published, serve, suback, tls
from tests.emulator.servers import LOCAL, Detour, Scripted, Servers, perform
from tests.emulator.simulated import Life, play
from tests.soak.air import Near

ANSWER = 30  # seconds for an answer
DIAL = 20  # seconds for TCP
SILENCE = 14  # seconds that lwIP asks for a name in vain
PING = 60  # seconds: half the keep-alive
LOST = 180  # seconds: 1.5 times the keep-alive
WATCHDOG = 300  # seconds without progress
SENDS = """
def run(device):
    while True:
        device.send("21")
        print("sent")
        device.wait(100)
"""
LEAKS = """
import socket, os
leaked = []
def run(device):
    while "healed" not in os.listdir():
        try:
            leaked.append(socket.socket())
        except OSError as error:
            print("leaked", len(leaked), error.args[0])
        device.wait(1)
    device.send("21")
    print("sent")
    device.wait(900)
"""


def stamp(line: str) -> float:
    """Return the seconds since the start that a line of the log begins with."""
    return float(line[1 : line.index("]")])


def took(life: Life, failure: str) -> float:
    """Return the seconds between the last line that tells this failure and the line before."""
    at = max(n for n, line in enumerate(life.lines) if f"FAILURE {failure}" in line)
    before = [line for line in life.lines[:at] if line[:1] == "["]
    return stamp(life.lines[at]) - stamp(before[-1])


async def fails(life: Life, failure: str, seconds: float, more: float = 1.5) -> None:
    """Wait for the next such failure, so many seconds after the line before it."""
    await life.said(f"FAILURE {failure}", life.count(f"FAILURE {failure}") + 1)
    assert seconds <= took(life, failure) <= seconds + more, life.told()


async def sends(life: Life) -> None:
    """Wait for the next telemetry that the hub took."""
    await life.said("sent", life.count("sent") + 1)


def unbitten(life: Life) -> None:
    """Fail if the board ever stopped."""
    assert not life.count("(the board stopped"), life.told()


# ---- silence at every stage


@pytest.mark.parametrize("bits", [32, 64])
def test_whatever_is_not_answered_is_given_up_in_time_and_come_back_to(bits: int) -> None:
    stages = [
        ("shakes hands gets a hand-shake that hangs", "the TLS hand-shake and CONNACK"),
        ("connects to DPS gets no answer", "the TLS hand-shake and CONNACK"),
        ("subscribes gets no answer", "SUBACK"),
        ("registers gets no answer", "DPS to answer"),
        ("registers gets a half-open connection", "PUBACK"),
        ("connects to its hub gets no answer", "the TLS hand-shake and CONNACK"),
        ("subscribes gets a half-open connection", "SUBACK"),
        ("sends telemetry gets no answer", "PUBACK"),
        ("sends telemetry gets a half-open connection", "PUBACK"),
    ]

    async def script(life: Life) -> None:
        for what, wanted in stages:
            life.rule(f"every board, when it {what}, once")
            await fails(life, f"35 no-answer: waiting for {wanted}", ANSWER)
        await sends(life)
        assert len(life.struck()) == len(life.failures()) == len(stages)
        unbitten(life)

    play(script, SENDS, bits=bits)


class Unaccepting(Detour):
    """Servers whose queue of connections is full: what SYN asks is not answered."""

    async def elsewhere(self, stack: AsyncExitStack, way: int) -> int:
        self.way, self.stack = way, stack
        self.door = stack.enter_context(socket.create_server((LOCAL, 0), backlog=0))
        self.queue = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in self.queue:
            one.setblocking(False)
            one.connect_ex(self.door.getsockname())
        return int(self.door.getsockname()[1])

    async def accept(self) -> None:
        """Let everybody in, from now on."""
        for one in self.queue:
            one.close()
        loop = asyncio.get_running_loop()
        near = partial(Near, self.world.air, self.way)
        server = await loop.create_server(near, sock=self.door.dup())
        self.stack.callback(server.close)


def test_a_server_that_never_accepts_is_given_up_in_time() -> None:
    async def script(life: Unaccepting) -> None:
        await fails(life, "35 no-answer: waiting for the TCP connection", DIAL)
        await life.accept()
        await sends(life)
        unbitten(life)

    perform(Unaccepting, script, SENDS)


# ---- bytes that come too slowly, or for ever


class Dripping(Detour):
    """A line that carries a byte a second to the board."""

    drips = True

    async def elsewhere(self, stack: AsyncExitStack, way: int) -> int:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            from_cloud, to_cloud = await asyncio.open_connection(LOCAL, way)
            there = asyncio.create_task(carry(reader, to_cloud, 65536))
            try:
                await carry(from_cloud, writer, 1 if self.drips else 65536)
            finally:
                there.cancel()
                to_cloud.close()

        async def carry(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int
        ) -> None:
            while data := await reader.read(size):
                writer.write(data)
                await asyncio.sleep(size == 1)

        port = await stack.enter_async_context(serve(drip, None))
        return await self.world.air.open(port)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_hand_shake_of_a_byte_a_second_ends_at_its_limit_as_a_whole(bits: int) -> None:
    async def script(life: Dripping) -> None:
        await fails(life, "35 no-answer: waiting for the TLS hand-shake and CONNACK", ANSWER)
        life.drips = False
        await sends(life)
        unbitten(life)

    perform(Dripping, script, SENDS, bits=bits)


def test_a_byte_a_second_is_progress_until_the_whole_takes_too_long() -> None:
    async def script(life: Life) -> None:
        await sends(life)
        life.rule("every board, when it connects to its hub gets one byte a second")
        life.drop()
        await life.connected()  # CONNACK has four bytes, SUBACK nine
        # the limit is that of a packet, and there may be a short one before
        await fails(life, "35 no-answer: waiting for the rest of a packet", ANSWER, 10)
        life.cloud.faults.clear()
        await sends(life)
        unbitten(life)

    play(script, SENDS)


class Hub(Servers):
    """A DPS and a hub that like everybody."""

    async def _hub(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await self.take(*await packet(reader), writer)

    async def take(self, kind: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer one packet."""
        if kind == 0x82:
            writer.write(suback(body))
        elif kind == 0x32:
            writer.write(b"\x40\x02" + published(body)[1])
        elif kind == 0x30:
            await self._twin(writer, body)
        elif kind == 0xC0:
            writer.write(b"\xd0\x00")


class Flood(Hub):
    """A hub that has no time to answer, the first time, as it has so much to say."""

    def __init__(self, kind: int) -> None:
        """kind: of the packet that is not answered."""
        super().__init__()
        self.kind = kind

    async def take(self, kind: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer, or talk until the board hangs up."""
        if kind != self.kind:
            return await super().take(kind, body, writer)
        self.kind = 0
        while True:
            writer.write(publish("$iothub/twin/res/200/?$rid=nobody", b"") * 100)
            await writer.drain()
            await asyncio.sleep(0)  # a line that broke needs a turn of the loop to say so


@pytest.mark.parametrize(
    ("version", "bits", "kind", "what"),
    [
        (ssl.TLSVersion.TLSv1_2, 32, 0x32, "PUBACK"),
        (ssl.TLSVersion.TLSv1_2, 64, 0x82, "SUBACK"),
        (ssl.TLSVersion.TLSv1_3, 32, 0x82, "SUBACK"),
        (ssl.TLSVersion.TLSv1_3, 64, 0x32, "PUBACK"),
    ],
)
def test_messages_without_end_do_not_stand_for_an_answer(
    make_board: MakeBoard,
    ca: trustme.CA,
    version: ssl.TLSVersion,
    bits: int,
    kind: int,
    what: str,
) -> None:
    context = tls(ca.issue_cert(*NAMES))
    context.minimum_version = context.maximum_version = version

    async def story() -> None:
        async with serve(Flood(kind).script, context) as port:
            board = make_board(port, speed=60, bits=bits)
            (board.flash / "app.py").write_text(SENDS)
            lines = await watch(board, "sent")
        said(lines, f"FAILURE 35 no-answer: waiting for {what}")

    asyncio.run(story())


# ---- the keep-alive, and what feeds the watchdog


class Talker(Hub):
    """A hub that always has something to say, and hears no ping from the third on."""

    def __init__(self) -> None:
        super().__init__()
        self.pings: list[float] = []  # when they came, in seconds of the timeline

    async def _hub(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(writer))
        try:
            await super()._hub(reader, writer)
        finally:
            talk.cancel()

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(7)
            writer.write(publish("$iothub/twin/res/200/?$rid=nobody", b""))

    async def take(self, kind: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer, but for a ping."""
        if kind == 0xC0:
            self.pings.append(asyncio.get_running_loop().time())
            if len(self.pings) in (3, 4):
                return
        await super().take(kind, body, writer)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_hub_that_talks_and_does_not_listen_is_noticed_and_is_no_progress(bits: int) -> None:
    hub = Talker()

    async def script(life: Life) -> None:
        await life.connected()
        since = life.timeline.monotonic()
        while len(hub.pings) < 4:
            await asyncio.sleep(1)
        assert hub.pings == pytest.approx([since + PING * n for n in (1, 2, 3, 4)], abs=5)
        answered = hub.pings[1]
        # only the pings that were answered fed the watchdog
        await asyncio.sleep(answered + LOST - 5 - life.timeline.monotonic())
        question = life.board.question
        assert question
        gone = life.timeline.monotonic() - answered
        assert question.bite <= (WATCHDOG - gone) * 1000 + 2000
        line = await life.said("FAILURE 36 connection-lost: no PINGRESP")
        assert LOST <= stamp(line) - answered <= LOST + 2, life.told()
        await life.connected()
        unbitten(life)

    perform(partial(Scripted, servers=hub), script, bits=bits)


# ---- names


def test_dns_that_does_not_answer_is_given_up_as_soon_as_lwip_does() -> None:
    async def script(life: Life) -> None:
        await sends(life)
        for dns, seconds in ((0, SILENCE), (-1, 0)):
            life.board.unix.surround(dns=dns)
            life.drop()
            for _ in range(3):
                await fails(life, "33 name-unknown (-202)", seconds)
            life.board.unix.surround(dns=1)
            await sends(life)
        unbitten(life)

    play(script, SENDS)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_first_boot_without_dns_asks_everybody_for_the_time_and_is_not_bitten(bits: int) -> None:
    async def script(life: Life) -> None:
        life.power(False)
        life.board.unix.surround(dns=0)
        life.power(True)
        # three time servers, twice, with a pause, and then DPS
        await fails(life, "41 clock-unset", 6 * SILENCE + 5 + SILENCE)
        life.board.unix.surround(dns=1)
        await sends(life)
        unbitten(life)

    play(script, SENDS, bits=bits)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_look_up_that_never_returns_is_ended_by_the_watchdog(bits: int) -> None:
    async def script(life: Life) -> None:
        await sends(life)
        life.board.unix.surround(dns=None)
        life.drop()
        await life.said("(the board stopped: the watchdog bit)")
        life.board.unix.surround(dns=1)
        asked = max(n for n, line in enumerate(life.lines) if "clock: " in line)
        gone = life.timeline.monotonic() - life.times[asked]
        assert gone == pytest.approx(WATCHDOG, abs=1)
        await life.said("FAILURE 13 watchdog")
        await sends(life)
        assert life.failures()[-1] == "13 watchdog"

    play(script, SENDS, bits=bits)


# ---- the radio


def test_a_radio_that_goes_is_noticed_in_whatever_is_under_way() -> None:
    async def script(life: Life) -> None:
        for known in ("provisioning status: connected", "sent"):
            await life.said(known, life.count(known) + 1)
            life.radio(False)
            await fails(life, "35 no-answer: waiting for PUBACK", ANSWER, 102)
            await life.said("FAILURE 32 network-down", life.count("FAILURE 32") + 1)
            life.radio(True)
        await sends(life)
        unbitten(life)

    play(script, SENDS)


# ---- sockets


@pytest.mark.parametrize("bits", [32, 64])
def test_sockets_that_an_application_leaks_are_named_and_a_reset_brings_them_back(
    bits: int,
) -> None:
    async def script(life: Life) -> None:
        await life.said("leaked 11 23")  # the connection has the twelfth
        while not life.count("FAILURE 14"):
            life.drop()
            await asyncio.sleep(30)
        await life.said("(the board stopped: it ended with exit code 2)")
        assert life.failures()[-3:] == ["14 sockets-exhausted"] * 3
        (life.board.unix.flash / "healed").touch()
        await sends(life)

    play(script, LEAKS, bits=bits)


# ---- servers that hang up


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("it connects to its hub gets a closed connection", "36 connection-lost"),
        ("it is sent its 2nd packet gets a closed connection", "86 hub-flapping"),
    ],
)
def test_a_server_that_hangs_up_again_and_again_is_left_alone_ever_longer(
    what: str, name: str
) -> None:
    async def script(life: Life) -> None:
        await sends(life)
        life.rule(f"every board, when {what}")
        life.drop()
        await asyncio.sleep(1200)
        assert 5 <= len(life.struck()) <= 20, life.told()
        assert life.failures()[-1] == name
        life.cloud.faults.clear()
        await sends(life)
        unbitten(life)

    play(script, SENDS)


def test_a_wait_longer_than_the_watchdogs_is_progress_while_it_is_on_schedule() -> None:
    async def script(life: Life) -> None:
        life.rule("every board, when it connects to DPS gets CONNACK 5")
        await life.until(lambda: max(life.waits(), default=0) > WATCHDOG + 60, 12 * 3600)
        life.cloud.faults.clear()
        await life.said("sent", within=4 * 3600)
        unbitten(life)

    play(script, SENDS)
