"""Which hub a device gets: static, by weight, by latency."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator.config import HUB, Config, LinkedHub
from host_tools.emulator.dps.allocation import Latency, Network
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.errors import ServiceError

A, B, C = "a.azure-devices.net", "b.azure-devices.net", "c.azure-devices.net"
HASHED = EnrollmentGroup("g")
NEAREST = EnrollmentGroup("g", allocation="geoLatency")
EVEN = Network({A: 1, B: 1, C: 1})
NAMES = [f"sn-{number}" for number in range(3000)]


def counted(network, enrollment=HASHED, names=NAMES):
    return Counter(network.allocate(enrollment, name) for name in names)


def code(network, enrollment):
    with pytest.raises(ServiceError) as error:
        network.allocate(enrollment, "dev-1")
    return error.value.code


def test_a_static_allocation_leads_to_its_hub():
    assert EVEN.allocate(EnrollmentGroup("g", B.upper()), "dev-1") == B


def test_equal_weights_share_the_devices_evenly():
    assert all(900 < count < 1100 for count in counted(EVEN).values())


def test_weights_are_respected():
    counts = counted(Network({A: 1, B: 1000}))
    assert counts[A] < 20
    counts = counted(Network({A: 1, B: 3}))
    assert 2100 < counts[B] < 2400


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
def test_any_weights_are_shared_within_bounds(weights):
    network = Network({f"h{number}": weight for number, weight in enumerate(weights)})
    counts = counted(network, names=NAMES[:1000])
    for hub, weight in network.weights.items():
        share = weight / sum(weights)
        spread = (share * (1 - share) * 1000) ** 0.5
        assert abs(counts[hub] - share * 1000) <= 5 * spread + 1


@settings(deadline=None)
@given(st.text(min_size=1, max_size=128))
def test_a_device_always_gets_the_same_hub_however_it_is_spelled(name):
    hub = EVEN.allocate(HASHED, name)
    assert EVEN.allocate(HASHED, name.lower()) == hub
    assert Network({C: 1, A: 1, B: 1}).allocate(HASHED, name) == hub


def test_a_hub_that_goes_moves_only_its_own_devices():
    fewer = Network({A: 1, B: 1})
    for name in NAMES[:500]:
        before = EVEN.allocate(HASHED, name)
        assert before == C or fewer.allocate(HASHED, name) == before


def test_an_enrollment_may_name_some_of_the_hubs():
    some = replace(HASHED, hubs=(A, C.upper()))
    assert set(counted(EVEN, some)) == {A, C}


def test_without_a_hub_the_allocation_fails():
    assert code(Network({}), HASHED) == 400208
    assert code(EVEN, replace(HASHED, hubs=("gone.azure-devices.net",))) == 400209


def network(*rows):
    return Network({A: 1, B: 1, C: 1}, [Latency(*row) for row in rows])


def test_the_nearest_hub_is_the_one_with_the_lowest_latency():
    near = network(("*", A, 50), ("*", B, 20), ("*", C, 90))
    assert counted(near, NEAREST) == {B: 3000}


def test_the_first_row_that_fits_a_device_counts():
    near = network(("EU-*", A, 5), ("*", A, 50), ("*", B.upper(), 20))
    assert near.allocate(NEAREST, "eu-7") == A
    assert near.allocate(NEAREST, "us-7") == B


def test_hubs_equally_near_share_by_weight_and_those_unknown_are_farthest():
    near = network(("*", A, 20), ("*", B, 20))
    counts = counted(near, NEAREST)
    assert set(counts) == {A, B}
    assert abs(counts[A] - counts[B]) < 200
    assert set(counted(network(), NEAREST)) == {A, B, C}


def test_only_the_enrollments_own_hubs_are_near():
    near = network(("*", A, 1), ("*", B, 20))
    assert near.allocate(replace(NEAREST, hubs=(B, C)), "dev-1") == B


def test_hubs_of_enrollments_are_linked_besides_those_that_are_listed():
    groups = (EnrollmentGroup("g", B), EnrollmentGroup("h", hubs=(A.upper(), C)))
    config = Config(groups=groups, links=(LinkedHub(A, 5),))
    assert config.linked == {A: 5, B: 1, C: 1}


def test_there_is_always_a_hub():
    assert Config(groups=()).linked == {HUB: 1}
