"""A model that is served and at rest, for each test that needs one."""

import pytest

from tests.operator.control.bench import Bench


@pytest.fixture
async def bench() -> Bench:
    """A model that is served and at rest."""
    found = Bench()
    await found.reconcile()
    found.a_ready_pod()
    await found.reconcile()
    assert found.condition() == ("True", "Serving")
    found.cluster.writes.clear()
    return found
