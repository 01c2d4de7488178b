"""What the operator writes, the server reads, and the other way round."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from forge_inference import settings as server
from forge_inference.checkpoint.errors import Reason
from forge_inference.engine.contract import Checkpoint
from forge_inference.web.provenance import report
from forge_operator.children.deployment import environment
from forge_operator.status.conditions import judge
from forge_operator.status.observed import Observed, Report
from forge_operator.status.reasons import LAST_WORDS
from tests.support.engines import LOADED
from tests.support.models import a_live_deployment, a_model, a_pod


def test_the_server_reads_every_variable_that_the_operator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = a_model(
        name="hbb.lab",
        quantization={"method": "none", "computeDtype": "float32"},
        serving={"maxModelLen": 99, "maxConcurrency": 5, "maxQueue": 3, "requestTimeoutSeconds": 7},
    )
    written = environment(model)
    for name, value in written.items():
        monkeypatch.setenv(name, value)
    found = server.read([])
    fields = {f"FORGE_{name.upper()}" for name in server.Settings.model_fields}
    assert set(written) <= fields, "a variable that nobody reads"
    assert (found.name, found.checkpoint, found.base_model) == (
        "hbb.lab",
        Path("/checkpoint/runs/1"),
        Path("/base/base"),
    )
    assert (found.quantization, found.double_quant, found.compute_dtype) == ("none", False, "float32")
    assert (found.max_model_len, found.max_batch, found.max_queue, found.request_timeout_seconds) == (99, 5, 3, 7)
    assert (found.host, found.port, found.admin_port) == ("0.0.0.0", 8000, 8081)
    assert (found.checkpoint_uri, found.base_model_uri) == ("pvc://models/runs/1", "pvc://models/base")
    assert found.termination_log == Path("/dev/termination-log")


def test_the_operator_reads_the_servers_report_and_judges_by_it() -> None:
    said = Report.model_validate(report(LOADED, "hbb"))
    model = a_model()
    deployment = a_live_deployment(model)
    pod = a_pod(deployment, ready=True)
    status = judge(model, Observed(deployment, [pod], {pod["metadata"]["uid"]: said}), {}, datetime.now(UTC))
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
    assert status["checkpoint"]["digest"] == LOADED.checkpoint.digest
    assert status["checkpoint"]["quantization"] == "nf4/bfloat16"


def test_the_operator_reads_the_report_of_a_whole_model_and_what_is_known_of_its_training() -> None:
    checkpoint = Checkpoint(
        "sha256:cc",
        None,
        None,
        None,
        (),
        kind="model",
        folder="merged",
        trainer="axolotl 0.12.2",
        step=12,
        evaluation_loss=0.5,
        quantization_match="Match",
    )
    said = Report.model_validate(report(replace(LOADED, checkpoint=checkpoint, effect=None), "hbb"))
    assert said.adapter_effect is None
    assert (said.checkpoint.kind, said.checkpoint.folder, said.checkpoint.rank) == ("model", "merged", None)
    assert (said.checkpoint.trainer, said.checkpoint.training_step) == ("axolotl 0.12.2", 12)
    assert (said.checkpoint.evaluation_loss, said.checkpoint.quantization_match) == (0.5, "Match")
    assert not said.checkpoint.changed_on_disk


def test_every_reason_of_a_checkpoint_is_known_to_the_operator() -> None:
    assert set(get_args(Reason)) <= {str(word) for word in LAST_WORDS}
