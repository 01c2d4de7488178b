"""From a body to a Model: what is read, and the sentence that an author gets when it cannot be."""

import pytest

from forge_operator.api.parse import parse
from forge_operator.errors import InvalidSpec
from tests.support.models import UID, a_body, a_model


def test_the_least_manifest_gets_every_documented_default() -> None:
    spec = a_model().spec
    assert (spec.quantization.method, spec.quantization.compute_dtype) == ("nf4", "bfloat16")
    assert (spec.serving.max_model_len, spec.serving.max_concurrency, spec.serving.max_queue) == (2048, 32, 64)
    assert (spec.serving.request_timeout_seconds, spec.replicas, spec.profile) == (120, 1, None)


def test_identity_comes_from_metadata() -> None:
    model = a_model(name="a", namespace="b", generation=7)
    assert (model.name, model.namespace, model.uid, model.generation) == ("a", "b", UID, 7)


@pytest.mark.parametrize(
    ("uri", "claim", "path"),
    [
        ("pvc://models/runs/1", "models", "runs/1"),
        ("pvc://models/runs/1/", "models", "runs/1"),
        ("pvc://models", "models", ""),
        ("pvc://models/", "models", ""),
        ("pvc://team.models-2/a_b+c=d@1,5/x", "team.models-2", "a_b+c=d@1,5/x"),
    ],
)
def test_a_uri_is_a_claim_and_a_folder_in_it(uri: str, claim: str, path: str) -> None:
    source = a_model(checkpoint={"uri": uri}).spec.checkpoint
    assert (source.claim, source.path) == (claim, path)


@pytest.mark.parametrize(
    "uri",
    [
        "models/runs/1",
        "pvc://",
        "pvc:///runs/1",
        "pvc://Models/runs",
        "pvc://-models/runs",
        "pvc://models//etc",
        "pvc://models/../other",
        "pvc://models/runs/..",
        "pvc://models/.hidden",
        "pvc://models/$(FORGE_HOST)",
        "pvc://models/a b",
        "pvc://models/runs\n",
        "pvc://models/" + "a" * 1024,
    ],
)
def test_a_uri_that_could_leave_its_volume_is_refused_and_named(uri: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.baseModel\.uri: "):
        a_model(baseModel={"uri": uri})


@pytest.mark.parametrize(
    ("method", "given", "doubles"), [("nf4", None, True), ("nf4", False, False), ("none", None, False)]
)
def test_double_quantisation_is_on_for_nf4_unless_it_is_turned_off(
    method: str, given: bool | None, doubles: bool
) -> None:
    quantization = {"method": method} | ({} if given is None else {"doubleQuant": given})
    assert a_model(quantization=quantization).spec.quantization.doubles is doubles


def test_double_quantisation_without_nf4_is_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.quantization: doubleQuant .* set method to nf4$"):
        a_model(quantization={"method": "none", "doubleQuant": True})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"replicas": -1}, "spec.replicas"),
        ({"replicas": 101}, "spec.replicas"),
        ({"serving": {"maxModelLen": 15}}, "spec.serving.maxModelLen"),
        ({"serving": {"maxQueue": 0}}, "spec.serving.maxQueue"),
        ({"serving": {"maxConcurrency": 1025}}, "spec.serving.maxConcurrency"),
        ({"serving": {"requestTimeoutSeconds": 3601}}, "spec.serving.requestTimeoutSeconds"),
        ({"quantization": {"method": "int8"}}, "spec.quantization.method"),
        ({"profile": "Not A Name"}, "spec.profile"),
        ({"checkpoint": {}}, "spec.checkpoint.uri"),
    ],
)
def test_a_value_out_of_bounds_is_refused_and_its_field_named(spec: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        parse(a_body(**spec))
    assert str(refusal.value).startswith(f"{field}: ")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidSpec) as refusal:
        a_model(replicas=-1, profile="")
    assert "spec.replicas" in str(refusal.value)
    assert "spec.profile" in str(refusal.value)


def test_an_unknown_field_is_refused_in_plain_words() -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.replica: this version has no such field"):
        a_model(replica=2)


def test_a_body_without_a_spec_names_what_is_missing() -> None:
    body = a_body()
    del body["spec"]
    with pytest.raises(InvalidSpec, match=r"spec\.checkpoint"):
        parse(body)
