"""A lab's own gene names, from a ConfigMap to an answer; and what is told while it is missing or no table."""

import hashlib
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import LIMIT, SPEC, forwarded, put
from tests.controlplane.lab import Lab
from tests.science.papers.corpus import FOLDER
from tests.support.checkpoints import Shape, a_real_pair
from tests.support.kube import SCIM, Kube

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

MENDED = 420.0  # seconds; the kubelet waits up to five minutes before it tries a failed container again
KEY = "genes.tsv"
GENES = (
    "hgnc_id\tsymbol\tname\nLAB:7\tQXR7\tour own receptor\nHGNC:1884\tCFTR\tCF transmembrane conductance regulator\n"
)
# A ligature, Greek, a superscript and a character beyond the first plane: offsets count what was sent.
ABSTRACT = (
    "Cystic ﬁbrosis is caused by variants of CFTR. QXR7 binds the 𝛼-helical CFTR at 10⁻⁶ M. "
    "F508del keeps the protein from the cell surface in 85% of patients."
)
# A mouse study whose authors did not randomise, and miscopied a p-value.
MOUSE = (FOLDER / "mouse-colitis.txt").read_text()
RANDOMISED = "Within each genotype, mice were randomly assigned to DSS or water using a computer-generated list."
PAPER = MOUSE.replace(RANDOMISED, "Animals were not randomised.").replace(
    "t(28) = 2.20, p = .036", "t(28) = 2.20, p = .36"
)


@pytest.fixture(scope="module")
def spec(files: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a model with room for an abstract, that is no use for prompts."""
    folder = tmp_path_factory.mktemp("science")
    (folder / "reader").mkdir()
    a_real_pair(folder / "reader", shape=Shape(length=4096))
    put(folder)
    return {
        **SPEC,
        "checkpoint": {"uri": "pvc://models/reader/adapter"},
        "baseModel": {"uri": "pvc://models/reader/base"},
        "serving": {"maxModelLen": 4096, "requestTimeoutSeconds": 120, "tasks": ["genomics", "papers"]},
    }


def _with(spec: dict[str, Any], name: str) -> dict[str, Any]:
    return {**spec, "science": {"lexicons": [{"configMap": {"name": name, "key": KEY}}]}}


def _config_map(lab: Lab, name: str, content: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {KEY: content}}
    path = f"/api/v1/namespaces/{lab.namespace}/configmaps/{name}"
    how = {"fieldManager": "a-person", "force": "true"}
    lab.kube.request("PATCH", path, body, "application/apply-patch+yaml", **how)


def test_a_config_map_that_is_missing_or_no_table_is_told_and_once_mended_the_model_serves(
    lab: Lab, spec: dict[str, Any]
) -> None:
    _config_map(lab, "garbled", "some notes")
    for name in ("missing", "garbled"):
        lab.create(name, **_with(spec, name))
    for name, words in (("missing", "there is no file"), ("garbled", "neither OBO nor a table")):
        message = lab.awaits("Ready", "False", "LexiconUnusable", name, limit=LIMIT)
        assert message.startswith(f"spec.science.lexicons[0]: key 'genes.tsv' of the ConfigMap '{name}'")
        assert words in message
        assert lab.condition("CheckpointVerified", name)[:2] == ("Unknown", "NotLoaded")
    for name in ("missing", "garbled"):
        _config_map(lab, name, GENES)
    for name in ("missing", "garbled"):
        lab.awaits("Ready", "True", "Serving", name, limit=MENDED)
        lab.kube.delete(SCIM, name, lab.namespace)


def test_genes_of_the_lab_are_known_and_only_what_was_asked_for_is_served(
    lab: Lab, kube: Kube, spec: dict[str, Any]
) -> None:
    _config_map(lab, "lab-genes", GENES)
    lab.create("reader", **_with(spec, "lab-genes"))
    lab.awaits("Ready", "True", "Serving", "reader", limit=LIMIT)
    question = {
        "query": "How does QXR7 act on CFTR F508del?",
        "query_type": "gene_function",
        "context": [{"id": "smith", "text": ABSTRACT}],
        "max_new_tokens": 32,
    }
    with forwarded(kube, lab.namespace, "service/reader", 80) as url, httpx.Client(base_url=url, timeout=120) as reader:
        answer = reader.post("/api/v1/genomics/query", json=question)
        paper = reader.post("/api/v1/papers/analyze", json={"text": PAPER, "max_new_tokens": 32})
        prompts = [reader.post(f"/{path}", json={}) for path in ("api/v1/generate", "v1/chat/completions")]
        paths = reader.get("/").json()["paths"]
    status = lab.model("reader")["status"]
    _is_cited_and_grounded(answer.raise_for_status().json(), status["checkpoint"]["digest"])
    assert answer.headers["x-intended-use"] == "research-use-only"
    _is_reviewed(paper.raise_for_status().json())
    for refusal in prompts:
        assert refusal.status_code == 403
        assert "The task generate is off: this server answers genomics, papers." in refusal.json()["error"]["message"]
    assert "/api/v1/generate" not in paths
    lab.kube.delete(SCIM, "reader", lab.namespace)


def _is_cited_and_grounded(found: dict[str, Any], checkpoint: str) -> None:
    """As far as a model goes that writes noise: spans are exact, names are the lab's, and it is told whose they are."""
    digest = hashlib.sha256(GENES.encode()).hexdigest()
    assert found["provenance"]["checkpoint"] == checkpoint
    assert found["provenance"]["lexicon"]["gene"] == {
        "source": f"hgnc@sha256-{digest[:12]}",
        "digest": f"sha256:{digest}",
    }
    genes = {each["normalized"]["id"] for each in found["concepts"] if each["type"] == "gene" and each["normalized"]}
    assert {"LAB:7", "HGNC:1884"} <= genes
    [variant] = [each for each in found["concepts"] if each["text"] == "F508del"]
    assert variant["status"] == "syntax_only"
    for each in found["concepts"]:
        if each["text"] in ("QXR7", "CFTR", "F508del"):
            told = [place for place in each["mentions"] if place["in"] == "context:smith"]
            assert {ABSTRACT[place["start"] : place["end"]] for place in told} == {each["text"]}
    for citation in found["citations"]:
        assert ABSTRACT[citation["start"] : citation["end"]] == citation["cited_text"]
    assert found["notice"]["use"] == "research_use_only"


def _is_reviewed(found: dict[str, Any]) -> None:
    criteria = {each["id"]: each for each in found["quality"]["criteria"]}
    assert criteria["randomisation"]["status"] == "addressed_negative"
    quote = criteria["randomisation"]["evidence"]
    assert PAPER[quote["start"] : quote["end"]] == quote["quote"] == "Animals were not randomised."
    decisions = {each["quote"]: each["decision"] for each in found["statistics"]}
    assert decisions["t(28) = 2.20, p = .36"] == "decision_error"
