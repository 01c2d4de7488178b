"""The program's edge: what it needs, and how it ends."""

from pathlib import Path

import pytest

from forge_operator.metrics_api.__main__ import main


def test_wrong_settings_are_named_and_end_it_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("image: i\ndefaultProfile: cpu\nprofiles: {cpu: {}}\nautoscaling: {backend: vpa}\n")
    assert main(["--config", str(config), "--service", "forge-metrics-api"]) == 2
    assert "autoscaling.backend" in capsys.readouterr().err


def test_outside_a_cluster_a_kubeconfig_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    config = tmp_path / "config.yaml"
    config.write_text("image: i\ndefaultProfile: cpu\nprofiles: {cpu: {}}\n")
    assert main(["--config", str(config), "--service", "forge-metrics-api"]) == 2
    assert "--kubeconfig FILE" in capsys.readouterr().err


def test_help_tells_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "custom.metrics.k8s.io" in said
    assert "NAME-tls" in said
