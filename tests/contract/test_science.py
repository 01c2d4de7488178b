"""Tasks and files of a lab: each program says what the other one understands."""

import json
from pathlib import Path
from typing import Any

import pytest

from forge_inference import settings as server
from forge_inference import tasks
from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.lexicon import UnreadableLexicon
from forge_operator.api import science
from forge_operator.children.deployment import environment
from forge_operator.status.observed import Observed
from forge_operator.status.trouble import Verdict, trouble
from tests.golden import ROOT
from tests.support.models import a_live_deployment, a_model, a_pod, a_server

MODEL = a_model(
    serving={"tasks": ["papers", "genomics"]},
    science={
        "lexicons": [{"configMap": {"name": "lab-genes", "key": "genes.tsv"}}],
        "calibration": [{"configMap": {"name": "profiles", "key": "yes-no.json"}}],
    },
)
WITHOUT_PROFILES = a_model(science={"lexicons": [{"configMap": {"name": "lab-genes", "key": "genes.tsv"}}]})


def _read(monkeypatch: pytest.MonkeyPatch, written: dict[str, str]) -> server.Settings:
    for name, value in written.items():
        monkeypatch.setenv(name, value)
    return server.read([])


def _judged(message: str, model: Any = MODEL) -> Verdict:
    """What the operator makes of these last words."""
    deployment = a_live_deployment(model)
    words = json.dumps({"reason": "InvalidSettings", "message": message})
    ended = {"reason": "Error", "exitCode": 2, "message": words}
    return trouble(model, Observed(deployment, [a_pod(deployment, **a_server(ended=ended))]))


def test_the_same_tasks_exist_for_both_programs() -> None:
    assert tasks.TASKS == science.TASKS


def test_the_server_serves_the_tasks_that_the_spec_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _read(monkeypatch, environment(a_model())).served == ("generate", "genomics", "papers")
    written = environment(a_model(serving={"tasks": ["papers", "genomics"]}))
    assert _read(monkeypatch, written).served == ("genomics", "papers")


def test_a_config_map_that_is_missing_is_told_by_the_server_and_named_by_the_operator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(server.InvalidSettings) as refusal:
        _read(monkeypatch, environment(WITHOUT_PROFILES))
    verdict = _judged(str(refusal.value))
    assert (verdict.truth, verdict.reason) == ("False", "LexiconUnusable")
    assert verdict.message.startswith("spec.science.lexicons[0]: key 'genes.tsv' of the ConfigMap 'lab-genes'")


def test_a_lexicon_that_is_no_table_is_told_by_the_server_and_named_by_the_operator(tmp_path: Path) -> None:
    own = tmp_path / environment(MODEL)["FORGE_LEXICONS"].lstrip("/")
    own.parent.mkdir()
    own.write_text("notes")
    with pytest.raises(UnreadableLexicon) as refusal:
        Finder([own])
    verdict = _judged(str(refusal.value))
    assert (verdict.truth, verdict.reason) == ("False", "LexiconUnusable")
    assert "neither OBO nor a table" in verdict.message


def test_every_variable_is_in_the_table_of_the_architecture_page_and_read_by_the_server() -> None:
    table = (ROOT / "docs/architecture.md").read_text().split("## The environment")[1].split("##")[0]
    names = set(environment(MODEL))
    assert {"FORGE_TASKS", "FORGE_LEXICONS", "FORGE_CALIBRATION"} <= names
    assert {name for name in names if f"`{name}`" not in table} == set()
    fields = {f"FORGE_{name.upper()}" for name in server.Settings.model_fields}
    assert names <= fields
