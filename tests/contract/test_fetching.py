"""What the operator writes for an init container is read by the fetcher as it was meant, and the other way round."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pytest

from forge_inference.checkpoint import fetched
from forge_inference.sources import __main__ as fetcher
from forge_inference.sources import addresses
from forge_inference.sources import errors as said
from forge_inference.sources import settings as reader
from forge_inference.sources.publish import Facts
from forge_operator.children import desired
from forge_operator.status.reasons import FETCH_WORDS
from tests.golden import ROOT
from tests.support.models import a_model, some_settings

OPEN = {"schemes": ["pvc", "hf", "s3", "https", "oci"], "hosts": ["*"], "ports": [443, 5000, 8443]}
EVERYTHING = {
    **OPEN,
    "hosts": ["huggingface.co", "*.hf.co"],
    "mirrors": {"huggingface.co": "https://hub.lab.example/hf"},
    "offline": True,
    "maxBytes": "10Gi",
    "timeoutSeconds": 600,
    "cache": {"claim": "forge-cache"},
    "caConfigMap": "lab-ca",
}


def _environment(sources: dict[str, Any], source: dict[str, Any]) -> dict[str, str]:
    """The init container's, as the kubelet gives it: `$$(` has become `$(`."""
    children = desired(a_model(checkpoint=source), some_settings(sources=sources))
    pod = next(child for child in children if child["kind"] == "Deployment")["spec"]["template"]["spec"]
    return {entry["name"]: entry["value"].replace("$$(", "$(") for entry in pod["initContainers"][0]["env"]}


def _read(monkeypatch: pytest.MonkeyPatch, sources: dict[str, Any], **source: Any) -> reader.Settings:
    for name in [name for name in os.environ if name.startswith("FORGE_FETCH_")]:
        monkeypatch.delenv(name)
    for name, value in _environment(sources, source).items():
        monkeypatch.setenv(name, value)
    return reader.read([])


def test_the_fetcher_reads_all_that_author_and_administrator_may_say(monkeypatch: pytest.MonkeyPatch) -> None:
    source = {"uri": "hf://org/run", "revision": "v1", "sha256": "ab" * 32, "secretRef": {"name": "hub-token"}}
    settings = _read(monkeypatch, EVERYTHING, **source)
    assert (settings.uri, settings.revision, settings.sha256) == ("hf://org/run", "v1", "ab" * 32)
    assert (settings.to, settings.store) == (Path("/fetched/checkpoint"), Path("/cache"))
    assert (settings.credentials, settings.ca_file) == (Path("/credentials"), Path("/ca/ca.crt"))
    assert (settings.max_bytes, settings.timeout_seconds, settings.offline) == (10 * 2**30, 600, True)
    assert settings.policy.schemes == ("hf",)
    assert settings.policy.hosts == ("huggingface.co", "*.hf.co")
    assert settings.policy.mirror("huggingface.co") == "https://hub.lab.example/hf"


def test_what_nobody_said_is_absent_and_no_host_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _read(monkeypatch, {"schemes": ["s3", "pvc"]}, uri="s3://runs/1")
    assert (settings.revision, settings.sha256, settings.credentials, settings.ca_file) == ("", "", None, None)
    assert (settings.cache, settings.offline) == (None, False)
    assert settings.policy.hosts == ()
    with pytest.raises(said.SourceError, match=r"minio\.example"):
        settings.policy.demand_host("minio.example")


def test_the_fetchers_words_are_the_operators_reasons() -> None:
    assert set(get_args(said.Reason)) == {str(reason) for reason in FETCH_WORDS}


def test_every_variable_is_in_the_table_of_the_architecture_page_and_read() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    source = {"uri": "hf://org/run", "revision": "v1", "sha256": "ab" * 32, "secretRef": {"name": "hub-token"}}
    names = set(_environment(EVERYTHING, source))
    assert {name for name in names if f"`{name}`" not in page} == set()
    own = {name.removeprefix("FORGE_FETCH_").lower() for name in names if name.startswith("FORGE_FETCH_")}
    assert own == set(reader.Settings.model_fields)
    assert names - {f"FORGE_FETCH_{name.upper()}" for name in own} == {"FORGE_TERMINATION_LOG", "FORGE_LOG_FORMAT"}


@pytest.mark.parametrize(
    "uri",
    [
        "hf://org/repo",
        "hf://Org-1/repo.v2_x@refs/pr/3",
        "s3://my.bucket-2/runs/step=100,lr=1e-4/",
        "https://files.lab.example:8443/a%20b/run.tar.gz",
        "oci://registry.example/lab/genes:v1",
        "oci://registry:5000/genes@sha256:" + "ab" * 32,
    ],
)
def test_the_fetcher_takes_each_form_of_uri_that_the_api_server_takes(
    monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    settings = _read(monkeypatch, OPEN, uri=uri)
    parsed = addresses.parse(settings.uri)
    assert fetcher._source(parsed, settings)
    assert parsed.shown == uri, "the note in the folder says what the manifest said"


def test_the_server_reads_the_note_that_the_fetcher_leaves(tmp_path: Path) -> None:
    facts = Facts(uri="hf://org/run", revision="5d1c", digest="sha256:cc", bytes=9, seconds=0.1, fromCache=True)
    (tmp_path / fetched.NOTE).write_text(json.dumps(asdict(facts)))
    assert fetched.read(tmp_path, "hf://org/run") == fetched.Fetched("sha256:cc", "5d1c")
