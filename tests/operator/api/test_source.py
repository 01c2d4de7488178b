"""Which sources a manifest may name, and the sentence for one that it may not."""

from typing import Any

import pytest

from forge_operator.api.source import Source
from forge_operator.errors import InvalidSpec
from tests.support.models import a_model

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("uri", "scheme", "host"),
    [
        ("pvc://models/runs/1", "pvc", None),
        ("hf://org/repo", "hf", "huggingface.co"),
        ("hf://Org-1/repo.v2_x@refs/pr/3", "hf", "huggingface.co"),
        ("s3://bucket", "s3", None),
        ("s3://my.bucket-2/runs/step=100/", "s3", None),
        ("https://files.lab.example/a%20b/run.tar.gz", "https", "files.lab.example"),
        ("https://10.0.0.1:8443/run.zip", "https", "10.0.0.1"),
        ("oci://registry.example/lab/genes:v1", "oci", "registry.example"),
        (f"oci://registry:5000/genes@sha256:{DIGEST}", "oci", "registry"),
    ],
)
def test_each_kind_of_source_is_read_and_its_machine_known(uri: str, scheme: str, host: str | None) -> None:
    source = a_model(checkpoint={"uri": uri}).spec.checkpoint
    assert (source.scheme, source.host, source.is_mounted) == (scheme, host, scheme == "pvc")
    assert (source.claim is None) is (scheme != "pvc")


def test_the_port_is_the_one_that_the_uri_names() -> None:
    assert Source(uri="https://h.example:8443/a.zip").port == 8443
    assert Source(uri="oci://h.example/a:1").port == Source(uri="hf://o/r").port == 443


WRONG = [
    ("ftp://host/file", "must be pvc://"),
    ("http://host/run.tar", "must be pvc://"),
    ("hf://repo", "hf://org/repo"),
    ("hf://org/repo@", "hf://org/repo"),
    ("hf://org/repo@../main", "hf://org/repo"),
    ("hf://org/repo/sub", "hf://org/repo"),
    ("s3://B/prefix", "s3://bucket/prefix"),
    ("s3://bucket//prefix", "s3://bucket/prefix"),
    ("s3://bucket/../other", "s3://bucket/prefix"),
    ("s3://key:secret@bucket/run", "s3://bucket/prefix"),
    ("https://host", "https://host/path"),
    ("https://user:password@host/run.zip", "secrets belong into secretRef"),
    ("https://host/run.zip?token=1", "without user, query"),
    ("https://host/run.zip#part", "without user, query"),
    ("https://host/../run.zip", "https://host/path"),
    ("https://host/$(HOME).zip", "https://host/path"),
    ("oci://registry.example/genes", "oci://host/repository:tag"),
    ("oci://registry.example", "oci://host/repository:tag"),
    ("oci://registry.example/Genes:1", "oci://host/repository:tag"),
    ("oci://registry.example/genes@sha256:ab", "oci://host/repository:tag"),
    ("oci://registry.example/genes:1\n", "must be pvc://"),
]


@pytest.mark.parametrize(("uri", "sentence"), WRONG, ids=[uri for uri, _ in WRONG])
def test_a_uri_of_another_form_is_refused_with_the_form_that_is_meant(uri: str, sentence: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.checkpoint\.uri: ") as refusal:
        a_model(checkpoint={"uri": uri})
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"uri": "pvc://models/1", "revision": "main"}, "revision is for hf://"),
        ({"uri": "oci://r.example/genes:1", "revision": "2"}, "names its version itself"),
        ({"uri": "hf://org/repo@main", "revision": "main"}, "keep one of the two"),
        ({"uri": "pvc://models/1", "sha256": DIGEST}, "nothing compares them with sha256"),
        ({"uri": "pvc://models/1", "secretRef": {"name": "keys"}}, "remove secretRef"),
        ({"uri": "hf://org/repo", "revision": "a b"}, "must be a branch, tag or commit"),
        ({"uri": "hf://org/repo", "sha256": DIGEST.upper()}, "lower case"),
        ({"uri": "hf://org/repo", "secretRef": {"name": "Keys"}}, "name of a Secret"),
        ({"uri": "hf://org/repo", "secretRef": {"name": "k", "namespace": "other"}}, "no such field"),
    ],
)
def test_fields_that_contradict_each_other_are_refused_with_a_way_out(source: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.baseModel") as refusal:
        a_model(baseModel=source)
    assert sentence in str(refusal.value)


def test_a_version_a_pin_and_credentials_are_read() -> None:
    given = {"uri": "hf://org/repo", "revision": "v1.0", "sha256": DIGEST, "secretRef": {"name": "hub-token"}}
    source = a_model(checkpoint=given).spec.checkpoint
    assert (source.revision, source.sha256, source.secret_ref.name if source.secret_ref else "") == (
        "v1.0",
        DIGEST,
        "hub-token",
    )
