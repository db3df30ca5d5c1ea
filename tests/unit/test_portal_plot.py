"""What of a device's messages is drawn, and where."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_tools.emulator.events import Telemetry
from host_tools.emulator.portal import plot

HUB = "hub.azure-devices.net"


def message(body: object, time: float = 0) -> Telemetry:
    return Telemetry(time, HUB, "pump-7", json.dumps(body).encode(), "")


def names(body: object) -> dict[str, float]:
    return dict(plot.numbers(json.dumps(body).encode()))


def test_numbers_are_named_by_their_path():
    body = {"t": 21.5, "door": {"open": True, "cycles": 3}, "axes": [1, {"x": 2}], "line": "ready"}
    assert names(body) == {"t": 21.5, "door.cycles": 3, "axes[0]": 1, "axes[1].x": 2}


def test_a_bare_number_is_a_value():
    assert names(21.5) == {"value": 21.5}


def test_a_body_without_json_has_no_numbers():
    for body in (b"", b"t=21", b"\xff\xfe", b"{", b"[" * 100_000, b"1" * 5000, b'{"a": NaN}'):
        assert list(plot.numbers(body)) == []


def test_a_body_that_is_too_large_is_not_looked_into():
    assert list(plot.numbers(b"1" + b" " * 70_000)) == []


def test_each_value_has_a_plot_of_its_own_with_its_legend():
    first, second = plot.plots([message({"t": 20 + n, "p": 1013}, time=100 + n) for n in range(5)])
    assert (first.name, first.count) == ("t", 5)
    assert (first.last, first.lowest, first.highest) == ("24", "20", "24")
    assert (second.name, second.last) == ("p", "1013")


def test_time_runs_to_the_right_and_values_up():
    (one,) = plot.plots([message({"t": 0}, 0), message({"t": 10}, 30), message({"t": 5}, 60)])
    assert one.line == f"0.0,{plot.HEIGHT} {plot.WIDTH / 2},0.0 {plot.WIDTH},{plot.HEIGHT / 2}"
    assert one.end == (plot.WIDTH, plot.HEIGHT / 2)
    assert [(tick.at, tick.label) for tick in one.ticks] == [
        (plot.HEIGHT, "0"),
        (plot.HEIGHT / 2, "5"),
        (0, "10"),
    ]


def test_a_single_value_is_drawn_at_its_end():
    (one,) = plot.plots([message({"t": 7})])
    assert one.end == (plot.WIDTH, plot.HEIGHT / 2)


def test_there_are_no_more_plots_than_anybody_looks_at():
    assert len(plot.plots([message({f"n{i}": i for i in range(100)})])) == plot.MOST
    assert plot.plots([]) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(21.5, "21.5"), (1e6, "1e6"), (-0.00001, "\u22121e\u221205"), (1 / 3, "0.333333")],
)
def test_numbers_are_brief(value, text):
    assert plot.brief(value) == text


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e299, max_value=1e299)


@given(NUMBERS, NUMBERS)
@example(0.0, 5e-324)
@example(1.0, 1.0 + 1e-15)
@example(-1e299, 1e299)
def test_an_axis_holds_its_values(one, other):
    lowest, highest = min(one, other), max(one, other)
    low, high, ticks = plot.axis(lowest, highest)
    slack = (high - low) * 1e-6
    assert low < high
    assert low - slack <= lowest
    assert highest <= high + slack
    assert 2 <= len(ticks) <= 4


@given(
    st.lists(
        st.one_of(st.binary(), st.from_type(float).map(lambda n: json.dumps({"n": n}).encode()))
    )
)
def test_whatever_a_device_sends_is_drawn_within_the_frame_or_left_out(bodies):
    messages = [Telemetry(float(i), HUB, "pump-7", body, "") for i, body in enumerate(bodies)]
    for one in plot.plots(messages):
        for point in one.line.split():
            x, y = map(float, point.split(","))
            assert math.isfinite(x)
            assert -1 <= x <= plot.WIDTH + 1
            assert -1 <= y <= plot.HEIGHT + 1
