"""What a pod says of itself on its admin port is understood by the operator."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from forge_operator.status.observed import Report
from tests.golden import ROOT
from tests.support.models import a_report


def _documented() -> dict[str, Any]:
    page = (ROOT / "docs/architecture.md").read_text()
    report: dict[str, Any] = json.loads(page.split("## The admin port")[1].split("```json\n")[1].split("```")[0])
    return report


def test_the_operator_reads_the_report_that_the_architecture_page_shows() -> None:
    report = Report.model_validate(_documented())
    assert report.checkpoint.target_modules == ["down_proj", "q_proj"]
    assert (report.adapter_effect.effective, report.adapter_effect.max_abs_logit_delta) == (True, 7.25)
    assert report.probe.succeeded


def test_the_operator_relies_on_nothing_that_the_page_does_not_show() -> None:
    read = a_report().model_dump(by_alias=True)
    assert _shape(read) == _shape(_documented())


def test_what_a_newer_pod_adds_is_ignored_and_what_is_missing_is_not() -> None:
    assert Report.model_validate({**_documented(), "new": 1}) == Report.model_validate(_documented())
    with pytest.raises(ValidationError, match="adapterEffect"):
        Report.model_validate({key: value for key, value in _documented().items() if key != "adapterEffect"})


def _shape(value: Any) -> Any:
    return {key: _shape(child) for key, child in value.items()} if isinstance(value, dict) else "value"
