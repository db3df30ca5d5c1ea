"""What the portal remembers for who opens a page later, and how much."""

from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.events import Connected, Dropped, Registering, Telemetry
from host_tools.emulator.portal.memory import Memory

HUB = "hub.azure-devices.net"


def telemetry(device_id: str, body: bytes = b"1", time: float = 0) -> Telemetry:
    return Telemetry(time, HUB, device_id, body, "")


def test_a_device_s_latest_messages_are_there():
    memory = Memory(per_device=3)
    for number in range(5):
        memory.take(telemetry("a", b"%d" % number))
    memory.take(telemetry("b"))
    assert [one.body for one in memory.messages(HUB, "a")] == [b"2", b"3", b"4"]
    assert memory.messages("other.azure-devices.net", "a") == []


def test_devices_that_were_heard_of_longest_ago_make_room():
    memory = Memory(largest=3 * 1000)
    for device_id in ("a", "b", "a", "c"):
        memory.take(telemetry(device_id, b"x" * 600))
    assert memory.messages(HUB, "b") == []
    assert len(memory.messages(HUB, "a")) == 2
    assert len(memory.messages(HUB, "c")) == 1


def test_one_message_larger_than_all_room_is_not_kept():
    memory = Memory(largest=1000)
    memory.take(telemetry("a", b"x" * 2000))
    assert memory.messages(HUB, "a") == []


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 3000))))
def test_there_is_never_more_than_there_is_room(sent):
    memory = Memory(per_device=4, largest=10_000)
    for device_id, size in sent:
        memory.take(telemetry(device_id, bytes(size)))
        kept = [one for name in "abcde" for one in memory.messages(HUB, name)]
        assert sum(len(one.body) + 400 for one in kept) <= 10_000


def test_what_else_happened_is_told_the_latest_first():
    memory = Memory()
    first = Registering(1, "sn-1", "enrollment group g")
    second = Connected(2, HUB, "sn-1", "2021-04-12")
    other = Dropped(3, "127.0.0.1:9", "TLS")
    for event in (first, second, telemetry("sn-1"), other):
        memory.take(event)
    assert [one.event for one in memory.moments()] == [other, second, first]
    assert [one.event for one in memory.moments({"sn-1"})] == [second, first]
    assert [one.event for one in memory.moments({"sn-1"}, most=1)] == [second]


def test_who_watches_sees_events_once_they_are_remembered():
    memory, seen = Memory(), []
    end = memory.watch(lambda event: seen.append((event, len(memory.messages(HUB, "a")))))
    message = telemetry("a")
    memory.take(message)
    memory.stir()
    end()
    memory.take(message)
    assert seen == [(message, 1), (None, 1)]


def test_who_knocks_in_vain_again_and_again_is_one_line():
    memory = Memory()
    for number in range(5):
        memory.take(Dropped(number, f"127.0.0.1:{number}", "TLS: no trust"))
    memory.take(Dropped(9, "127.0.0.1:9", "it sent no CONNECT in 30 s"))
    assert [(one.event.time, one.times) for one in memory.moments()] == [(9, 1), (4, 5)]
