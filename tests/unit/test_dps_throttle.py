"""How often DPS may be asked: sliding windows on the clock that nobody sets."""

from dataclasses import replace

import pytest

from host_tools.emulator.dps.throttle import Throttle, Window
from host_tools.emulator.errors import ServiceError
from tests.dps_bench import CONFIG, KEYS, NOW, POLL, REGISTER, Bench, ask


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, replace(CONFIG, throttle=True, assigning_replies=99))
    yield bench
    bench.close()


def test_a_window_lets_so_many_in_and_slides():
    window = Window(2, 10)
    for tick, wait in ((0, 0), (4, 0), (9, 1), (9.5, 0.5), (10, 0), (12, 2), (14, 0)):
        assert window.wait(tick) == wait
        if not wait:
            window.count(tick)


def refused(call, *arguments):
    with pytest.raises(ServiceError) as error:
        call(*arguments)
    return error.value.code, error.value.retry_after


def test_a_thousand_registrations_a_minute_are_enough():
    throttle = Throttle()
    for number in range(1000):
        throttle.register(number / 100)
    assert refused(throttle.register, 10.5) == (429001, 50)
    throttle.poll("dev-1", 10.5)  # is counted apart
    throttle.register(60)


def test_a_thousand_status_queries_a_minute_are_enough():
    throttle = Throttle()
    for number in range(1000):
        throttle.poll(f"dev-{number}", 7)
    assert refused(throttle.poll, "dev-1000", 8) == (429001, 59)
    throttle.register(8)


def test_a_device_may_ask_five_times_in_ten_seconds():
    throttle = Throttle()
    for number in range(5):
        throttle.poll("dev-1", 100 + number)
    assert refused(throttle.poll, "DEV-1", 105) == (429001, 5)
    throttle.poll("dev-2", 105)
    throttle.poll("dev-1", 110)


def test_who_is_turned_away_is_not_counted():
    throttle = Throttle()
    for _ in range(5):
        throttle.poll("dev-1", 100)
    for tick in range(101, 110):
        assert refused(throttle.poll, "dev-1", tick)[0] == 429001
    throttle.poll("dev-1", 110)


def test_devices_that_have_not_asked_lately_are_forgotten():
    throttle = Throttle()
    for number in range(100):
        throttle.poll(f"dev-{number}", 100)
    throttle.expire(105)
    assert len(throttle._devices) == 100
    throttle.poll("dev-1", 109)
    throttle.expire(115)
    assert list(throttle._devices) == ["dev-1"]


def test_over_mqtt_it_is_429_with_the_seconds_to_wait(bench):
    bench.dps.expire(NOW, 100)
    peer = bench.connect()
    operation = ask(peer, REGISTER + "1")[1]["operationId"]
    for number in range(5):
        bench.dps.expire(NOW, 100 + number)
        assert "/res/202/" in ask(peer, POLL.format(number, operation))[0]
    topic, error = ask(peer, POLL.format(9, operation))
    assert topic == "$dps/registrations/res/429/?$rid=9&retry-after=6"
    assert error["errorCode"] == 429001
    bench.dps.expire(NOW, 110)
    assert "/res/202/" in ask(peer, POLL.format(10, operation))[0]


def test_who_may_not_come_in_uses_up_nothing(bench):
    stranger = bench.connect(key=b"wrong" * 8)
    for number in range(1001):
        assert "/res/401/" in ask(stranger, REGISTER + str(number))[0]
    assert "/res/202/" in ask(bench.connect(), REGISTER + "1")[0]


def test_unless_it_is_wanted_there_is_no_limit(tmp_path):
    bench = Bench(tmp_path, replace(CONFIG, assigning_replies=0))
    peer = bench.connect("bench-1", KEYS.primary)
    operation = ask(peer, REGISTER + "1")[1]["operationId"]
    for number in range(20):
        assert "/res/200/" in ask(peer, POLL.format(number, operation))[0]
    bench.close()
