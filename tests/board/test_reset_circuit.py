import pytest

from host_tools.virtual_board.reset_circuit import PASSING, RISE, Edge, ResetCircuit


class Bench:
    """A circuit and a clock; remembers what EN did."""

    def __init__(self) -> None:
        self.now = 100.0
        self.circuit = ResetCircuit()
        self.edges: list[Edge] = []

    def set(self, **pins: bool) -> None:
        self.edges += self.circuit.change(self.now, **pins)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.circuit.rises_at is not None and self.circuit.rises_at <= end:
            self.now = self.circuit.rises_at
            self.edges += self.circuit.settle(self.now)
        self.now = end

    def did(self) -> list[Edge]:
        edges, self.edges = self.edges, []
        return edges


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.set(powered=True)
    bench.wait(1)
    assert bench.did() == [Edge.ROSE]
    return bench


def classic_reset(bench: Bench, latency: float, flow_control: bool = False) -> None:
    """What esptool's ClassicReset does, over a line on which each setting takes this long."""

    def rts(asserted: bool) -> None:
        bench.set(rts=asserted)
        bench.wait(latency)
        bench.set(dtr=bench.circuit.dtr)  # once more, for Windows' sake
        bench.wait(latency)

    bench.set(dtr=False)
    bench.wait(latency)
    rts(True)
    bench.wait(0.1)
    bench.set(dtr=True)
    bench.wait(latency)
    rts(False)
    bench.wait(0.05)
    if not flow_control:
        bench.set(dtr=False)
    bench.wait(1)


@pytest.mark.parametrize("latency", [0.0, 0.001, 0.05, 0.2])
@pytest.mark.parametrize("before", [(False, False), (True, True), (True, False)])
def test_esptools_classic_reset_leads_to_the_loader(bench: Bench, latency: float, before) -> None:
    bench.set(dtr=before[0])
    bench.set(rts=before[1])
    bench.did()
    classic_reset(bench, latency)
    assert bench.did() == [Edge.FELL, Edge.ROSE_TO_DOWNLOAD]


def test_the_tight_reset_of_unix_leads_to_the_loader(bench: Bench) -> None:
    for dtr, rts, pause in ((0, 0, 0), (1, 1, 0), (0, 1, 0.1), (1, 0, 0.05), (0, 0, 1)):
        bench.set(dtr=bool(dtr), rts=bool(rts))
        bench.wait(pause)
    assert bench.did() == [Edge.FELL, Edge.ROSE_TO_DOWNLOAD]


def test_a_hard_reset_runs_the_program(bench: Bench) -> None:
    bench.set(rts=True)
    bench.wait(0.1)
    bench.set(rts=False)
    bench.wait(1)
    assert bench.did() == [Edge.FELL, Edge.ROSE]


def test_opening_and_closing_a_port_resets_nothing(bench: Bench) -> None:
    bench.set(dtr=True)
    bench.wait(0.05)
    bench.set(rts=True)
    bench.wait(5)
    bench.set(dtr=False, rts=False)
    bench.wait(1)
    assert bench.did() == []


def test_both_lines_asserted_is_waited_out_and_then_no_reset_any_more(bench: Bench) -> None:
    bench.set(rts=True)
    bench.wait(0.1)
    bench.set(dtr=True)
    bench.wait(PASSING - 0.001)
    assert bench.did() == [Edge.FELL]
    bench.wait(0.002)
    assert bench.did() == [Edge.ROSE]


def test_a_late_look_sees_the_pins_as_they_were(bench: Bench) -> None:
    """A loop that lags must not mistake a released boot pin for one that never was low."""
    bench.set(rts=True)
    bench.wait(0.1)
    bench.set(dtr=True, rts=False)
    bench.now += 10 * RISE  # nobody called settle()
    bench.set(dtr=False)
    assert bench.did() == [Edge.FELL, Edge.ROSE_TO_DOWNLOAD]


def test_buttons_do_what_lines_do(bench: Bench) -> None:
    bench.set(reset_button=True, boot_button=True)
    bench.wait(1)
    bench.set(reset_button=False)
    bench.wait(1)
    assert bench.did() == [Edge.FELL, Edge.ROSE_TO_DOWNLOAD]


def test_without_power_nothing_rises(bench: Bench) -> None:
    bench.set(powered=False)
    bench.set(rts=True)
    bench.set(rts=False)
    bench.wait(1)
    assert bench.did() == [Edge.FELL]
    bench.set(powered=True)
    bench.wait(RISE)
    assert bench.did() == [Edge.ROSE]
