"""Files of a lab that cannot be used, as the owner of the model reads it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.status.conditions import judge
from forge_operator.status.observed import Observed
from forge_operator.status.trouble import Verdict, trouble
from tests.support.models import a_live_deployment, a_model, a_pod, a_server, some_settings

MODEL = a_model(
    science={
        "lexicons": [
            {"configMap": {"name": "lab-genes", "key": "genes.tsv"}},
            {"source": {"uri": "pvc://ontologies/mondo.obo"}},
            {"source": {"uri": "s3://lab/ontologies"}},
        ],
        "calibration": [{"configMap": {"name": "profiles", "key": "yes-no.json"}}],
    }
)
DEPLOYMENT = a_live_deployment(MODEL, some_settings(sources={"schemes": ["pvc", "s3"]}))


def _words(reason: str, message: str) -> Manifest:
    return {"reason": "Error", "exitCode": 2, "message": json.dumps({"reason": reason, "message": message})}


def _of(pod: Manifest) -> Verdict:
    return trouble(MODEL, Observed(DEPLOYMENT, [pod]))


def _server(message: str, reason: str = "InvalidSettings") -> Manifest:
    return a_pod(DEPLOYMENT, **a_server(ended=_words(reason, message)))


def _fetcher(reason: str, name: str = "fetch-lexicon-2") -> Manifest:
    ended = {"terminated": _words(reason, "s3://lab/ontologies: the server answers 404.")}
    waits: dict[str, Any] = {"waiting": {"reason": "PodInitializing"}}
    return a_pod(DEPLOYMENT, initContainerStatuses=[{"name": name, "state": ended}], **a_server(**waits))


@pytest.mark.parametrize(
    ("message", "reason", "tells"),
    [
        (
            "--lexicons (FORGE_LEXICONS): there is no file /lexicon-0/genes.tsv",
            "LexiconUnusable",
            "spec.science.lexicons[0]: key 'genes.tsv' of the ConfigMap 'lab-genes' in namespace 'lab' cannot be used",
        ),
        (
            "--lexicons (FORGE_LEXICONS): /lexicon-1/mondo.obo: not UTF-8",
            "LexiconUnusable",
            "spec.science.lexicons[1]: pvc://ontologies/mondo.obo cannot be used",
        ),
        (
            "--lexicons (FORGE_LEXICONS): /fetched/lexicon-2/README: neither OBO nor a table",
            "LexiconUnusable",
            "spec.science.lexicons[2]: s3://lab/ontologies cannot be used",
        ),
        (
            "--calibration (FORGE_CALIBRATION): /calibration-0/yes-no.json: not JSON",
            "CalibrationUnusable",
            "spec.science.calibration[0]: key 'yes-no.json' of the ConfigMap 'profiles'",
        ),
    ],
)
def test_a_file_that_is_missing_or_unreadable_is_named_by_its_field(message: str, reason: str, tells: str) -> None:
    verdict = _of(_server(message))
    assert (verdict.truth, verdict.reason) == ("False", reason)
    assert verdict.message.startswith(tells)
    assert verdict.message.endswith(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("--port (FORGE_PORT): cannot listen on 0.0.0.0:8000", "InvalidSettings"),
        ("there is no file /lexicon-7/genes.tsv", "InvalidSettings"),
        ("/checkpoint/lexicon-0 has no adapter_config.json", "CheckpointNotFound"),
    ],
)
def test_nothing_else_is_taken_for_a_file_of_the_lab(message: str, reason: str) -> None:
    verdict = _of(_server(message, reason))
    assert (verdict.reason, verdict.message) == (reason, message)


def test_a_fetch_of_a_lexicon_that_fails_is_told_as_the_lexicons() -> None:
    verdict = _of(_fetcher("SourceNotFound"))
    assert (verdict.truth, verdict.reason) == ("False", "LexiconUnusable")
    assert verdict.message.startswith("spec.science.lexicons[2]: s3://lab/ontologies cannot be used")
    assert verdict.message.endswith("SourceNotFound: s3://lab/ontologies: the server answers 404.")
    assert _of(_fetcher("SourceNotFound", "fetch-checkpoint")).reason == "SourceNotFound"


def test_a_source_that_does_not_answer_is_ours_to_ask_again() -> None:
    verdict = _of(_fetcher("SourceUnavailable"))
    assert (verdict.truth, verdict.reason) == ("Unknown", "SourceUnavailable")


@pytest.mark.parametrize("pod", [_server("there is no file /lexicon-0/genes.tsv"), _fetcher("SourceNotFound")])
def test_of_the_checkpoint_nothing_is_said_then(pod: Manifest) -> None:
    status = judge(MODEL, Observed(DEPLOYMENT, [pod]), {}, datetime(2026, 1, 1, tzinfo=UTC))
    found = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert found["Ready"] == found["Progressing"] == ("False", "LexiconUnusable")
    assert found["CheckpointVerified"] == ("Unknown", "NotLoaded")


def test_a_claim_that_does_not_exist_is_named_by_its_field() -> None:
    message = '0/1 nodes are available: persistentvolumeclaim "ontologies" not found.'
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    verdict = _of(a_pod(DEPLOYMENT, phase="Pending", conditions=[said]))
    assert verdict.reason == "VolumeUnavailable"
    assert verdict.message.startswith("spec.science.lexicons[1].source.uri: the PersistentVolumeClaim 'ontologies'")
