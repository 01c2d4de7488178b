"""The properties that `make bench` measures at 500 models, at a size that every test run can afford."""

from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.campaign import Campaign
from tests.support.kube import AuditLog, Kube
from tests.support.operators import Installed
from tests.support.pods import AdminPort

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def test_many_models_are_served_soon_and_then_nothing_is_written(
    kube: Kube, installed: Installed, audit: AuditLog, admin: AdminPort, folder: Path
) -> None:
    figures = Campaign(kube, installed, audit, folder, print).run(models=50, watched=15)
    assert [row for row in report.rows(figures) if not row[-1]] == []
    kube.delete("Namespace", "many-models")
