"""A visitor of the portal, for all modules that read its pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.portal_bench import KEYS, NOW, Visitor, visiting


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    with visiting(tmp_path) as visitor:
        visitor.hub.create("sn-1", NOW, KEYS.derived_for("sn-1"))
        yield visitor
