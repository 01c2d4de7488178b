"""What the Deployment writes into a pod's environment is read there as it was meant."""

from pathlib import Path
from typing import Any

import pytest

from forge_inference.settings import Settings as ServerSettings
from forge_operator.children import desired
from tests.golden import ROOT
from tests.support.models import a_model, some_settings


def _environment(**spec: Any) -> dict[str, str]:
    """The container's environment as the kubelet gives it: `$$(` has become `$(`."""
    children = {child["kind"]: child for child in desired(a_model(**spec), some_settings())}
    server = children["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry["value"].replace("$$(", "$(") for entry in server["env"]}


def _read(monkeypatch: pytest.MonkeyPatch, **spec: Any) -> ServerSettings:
    for name, value in _environment(**spec).items():
        monkeypatch.setenv(name, value)
    return ServerSettings()


def test_the_server_reads_the_least_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _read(monkeypatch)
    assert settings.model_name == "hbb-expert"
    assert (settings.checkpoint, settings.base_model) == (Path("/checkpoint/runs/1"), Path("/base/base"))
    assert (settings.checkpoint_uri, settings.base_model_uri) == ("pvc://models/runs/1", "pvc://models/base")
    assert (settings.quantization, settings.double_quant, settings.compute_dtype) == ("nf4", True, "bfloat16")
    assert (settings.max_model_len, settings.max_batch, settings.max_queue) == (2048, 32, 64)
    assert settings.request_timeout_seconds == 120
    assert settings.served == ("generate", "genomics", "papers")
    assert (settings.host, settings.port, settings.admin_port) == ("0.0.0.0", 8000, 8081)
    assert (str(settings.termination_log), settings.log_format) == ("/dev/termination-log", "json")


def test_the_server_reads_every_field_that_an_author_may_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _read(
        monkeypatch,
        checkpoint={"uri": "pvc://a/"},
        baseModel={"uri": "pvc://b/x=1,y+z@2/"},
        quantization={"method": "none", "computeDtype": "float32"},
        serving={"maxModelLen": 16, "maxConcurrency": 1, "maxQueue": 1, "requestTimeoutSeconds": 1},
    )
    assert (settings.checkpoint, settings.base_model) == (Path("/checkpoint"), Path("/base/x=1,y+z@2"))
    assert (settings.quantization, settings.double_quant, settings.compute_dtype) == ("none", False, "float32")
    assert (settings.max_model_len, settings.max_batch, settings.max_queue) == (16, 1, 1)
    assert settings.request_timeout_seconds == 1


@pytest.mark.parametrize(
    "largest",
    [{"maxModelLen": 1_048_576, "maxConcurrency": 1024, "maxQueue": 10_000, "requestTimeoutSeconds": 3600}],
)
def test_the_largest_values_that_the_api_server_accepts_are_accepted_by_the_server(
    monkeypatch: pytest.MonkeyPatch, largest: dict[str, int]
) -> None:
    settings = _read(monkeypatch, serving=largest)
    assert (settings.max_model_len, settings.max_batch, settings.max_queue) == (1_048_576, 1024, 10_000)
    assert settings.request_timeout_seconds == 3600


def test_every_variable_is_in_the_table_of_the_architecture_page_and_read_by_the_server() -> None:
    table = (ROOT / "docs/architecture.md").read_text().split("## The environment")[1].split("##")[0]
    names = set(_environment())
    assert {name for name in names if f"`{name}`" not in table} == set()
    assert {name.removeprefix("FORGE_").lower() for name in names} <= set(ServerSettings.model_fields)
