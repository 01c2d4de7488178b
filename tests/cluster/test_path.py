"""From a manifest to an answer, with a real kubelet, our images and a real adapter."""

import httpx
import pytest

from tests.cluster.conftest import LIMIT, NAMESPACE, RELEASE, SPEC, forwarded
from tests.controlplane.lab import Lab
from tests.harness.backends import Cluster
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.kube import Kube

pytestmark = pytest.mark.cluster


def test_a_model_is_served_through_its_service(lab: Lab, kube: Kube) -> None:
    lab.create("genes", **SPEC)
    lab.awaits("Ready", "True", "Serving", "genes", limit=LIMIT)
    lab.awaits("Progressing", "True", "RolledOut", "genes")
    status = lab.model("genes")["status"]
    assert status["checkpoint"]["rank"] == 4
    # Of a CPU without kernels for bfloat16 the status says what is computed there instead.
    assert status["checkpoint"]["quantization"] in ("nf4/bfloat16", "nf4/float32")
    with forwarded(kube, lab.namespace, "service/genes", 80) as url:
        body = {"text": "gene", "max_new_tokens": 12}
        tuned = httpx.post(f"{url}/api/v1/generate", json=body, timeout=120).raise_for_status().json()
        plain = httpx.post(f"{url}/api/v1/generate", json={**body, "use_adapter": False}, timeout=120).json()
    assert tuned["provenance"]["checkpoint"] == status["checkpoint"]["digest"]
    assert tuned["model"] == "genes"
    assert tuned["results"][0]["mean_logprob"] != plain["results"][0]["mean_logprob"]


def test_helm_test_passes(installed: Cluster) -> None:
    words = [program("helm"), "--kubeconfig", installed.kubeconfig, "test", RELEASE, "-n", NAMESPACE, "--timeout", "3m"]
    assert "Phase:          Succeeded" in run(words, timeout=240)
