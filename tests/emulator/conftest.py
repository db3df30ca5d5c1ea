"""What the tests of MQTT clients have in common: one cloud for a whole module of them."""

from collections.abc import Iterator

import pytest

from tests.emulator import mqtt_fixtures
from tests.emulator.mqtt_fixtures import NAME, Bench, Neighbour


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with mqtt_fixtures.bench(tmp_path_factory.mktemp("bench")) as bench:
        bench.provision(NAME)
        yield bench


@pytest.fixture(scope="module")
def other(bench: Bench) -> Iterator[Neighbour]:
    with mqtt_fixtures.neighbour(bench) as other:
        yield other
