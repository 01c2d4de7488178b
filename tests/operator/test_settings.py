"""The administrator's file: what is read, how quantities are spelt, and what a mistake is told."""

from pathlib import Path
from textwrap import dedent

import pytest

from forge_operator.errors import InvalidSettings
from forge_operator.settings import Settings, amount, canonical, load
from tests.golden import ROOT
from tests.support.models import some_settings


def _load(folder: Path, text: str) -> Settings:
    path = folder / "config.yaml"
    path.write_text(dedent(text))
    return load(path)


LEAST = """
    image: registry.example/inference:1
    defaultProfile: cpu
    profiles: {cpu: {}}
"""


def test_the_example_in_the_architecture_page_is_accepted(tmp_path: Path) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    settings = _load(tmp_path, example)
    assert settings.profiles["cpu"].requests == {"cpu": "500m", "memory": "1Gi"}
    assert settings.profiles["cpu"].accelerator is None
    assert settings.leader_election.lease_name == "scientificllm-forge"


def test_an_empty_accelerator_means_none(tmp_path: Path) -> None:
    text = "image: i\ndefaultProfile: a\nprofiles: {a: {accelerator: {}}, b: {accelerator: {resource: nvidia.com/gpu}}}"
    settings = _load(tmp_path, text)
    assert settings.profiles["a"].accelerator is None
    assert settings.profiles["b"].accelerator is not None
    assert settings.profiles["b"].accelerator.count == 1


def test_by_default_nothing_is_fetched(tmp_path: Path) -> None:
    sources = _load(tmp_path, LEAST).sources
    assert (sources.schemes, sources.hosts, sources.mirrors, sources.ports) == (["pvc"], [], {}, [443])
    assert (sources.cache.claim, sources.ca_config_map, sources.offline) == ("", "", False)


@pytest.mark.parametrize(("given", "size"), [("64Gi", 64 * 2**30), ("200G", 200 * 10**9), ("5000000", 5_000_000)])
def test_sizes_are_written_as_kubernetes_writes_them(tmp_path: Path, given: str, size: int) -> None:
    assert _load(tmp_path, LEAST + f"    sources: {{maxBytes: {given}}}").sources.max_bytes == size


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (LEAST + "    imgae: x", "imgae"),
        (LEAST + "    workers: 0", "workers"),
        (LEAST + "    podAccess: tunnel", "podAccess"),
        (LEAST.replace("cpu: {}", "cpu: {limits: {memory: 4 GB}}"), "profiles.cpu.limits.memory"),
        (LEAST.replace("cpu: {}", "cpu: {accelerator: {resource: gpu}}"), "profiles.cpu.accelerator.resource"),
        (LEAST.replace("defaultProfile: cpu", "defaultProfile: gpu"), "defaultProfile"),
        (LEAST.replace("image: registry.example/inference:1", ""), "image"),
        (LEAST + "    sources: {schemes: [ftp]}", "sources.schemes.0"),
        (LEAST + "    sources: {hosts: ['https://hub.example']}", "sources.hosts.0"),
        (LEAST + "    sources: {mirrors: {hub.example: mirror.example}}", "sources.mirrors.hub.example"),
        (LEAST + "    sources: {ports: [0]}", "sources.ports.0"),
        (LEAST + "    sources: {maxBytes: 10}", "sources.maxBytes"),
        (LEAST + "    sources: {maxBytes: 500m}", "sources.maxBytes"),
        ("- a list", "file"),
        ("", "file"),
    ],
)
def test_a_mistake_names_the_file_and_the_field(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        _load(tmp_path, text)
    assert str(refusal.value).startswith(f"{tmp_path / 'config.yaml'}: ")
    assert f" {field}: " in str(refusal.value)


def test_a_file_that_is_missing_or_not_yaml_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read: No such file"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(InvalidSettings, match="is not YAML"):
        _load(tmp_path, "image: [")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("500m", "500m"),
        (0.5, "500m"),
        ("0.5", "500m"),
        (2, "2"),
        ("2000m", "2"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("8192Mi", "8Gi"),
        ("512Ki", "512Ki"),
        ("4G", "4G"),
        ("4000M", "4G"),
        ("1000", "1k"),
        ("100", "100"),
        ("0.5Ki", "512"),
        ("0Gi", "0"),
        (0, "0"),
    ],
)
def test_quantities_are_spelt_as_the_api_server_stores_them(given: object, stored: str) -> None:
    assert canonical(given) == stored


@pytest.mark.parametrize("given", ["", "four", "-1", "1 Gi", "1gb", True, None, "0.0000000001"])
def test_what_is_not_a_quantity_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="is "):
        canonical(given)


@pytest.mark.parametrize(
    ("given", "value"),
    [("7200m", 7.2), ("0", 0), ("3", 3), ("1k", 1000), ("1Ki", 1024), ("250u", 0.00025), ("2Gi", 2**31)],
)
def test_a_quantity_is_a_number(given: str, value: float) -> None:
    assert amount(given) == pytest.approx(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("backend", "vpa"), ("prometheusAddress", "prometheus:9090"), ("metricsAddress", "http://user@host")],
)
def test_a_mistake_about_autoscaling_is_named(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)autoscaling\.{field}"):
        some_settings(autoscaling={field: value})
