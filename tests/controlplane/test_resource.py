"""What the API server itself does with a ScientificModel: no operator runs here."""

from typing import Any

import pytest

from tests.controlplane.lab import Lab
from tests.support.kube import SCIM, Kube, RefusedError, a_manifest

pytestmark = pytest.mark.controlplane


def test_the_definition_is_accepted_without_a_warning(kube: Kube, lab: Lab) -> None:
    crd = kube.get("CustomResourceDefinition", "scientificmodels.serving.scientificllm.io")
    conditions = {each["type"]: each["status"] for each in crd["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


GENES = {"configMap": {"name": "lab-genes", "key": "genes.tsv"}}
MONDO = {"source": {"uri": "pvc://models/mondo.obo"}}

BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"checkpoint": None}, ["spec.checkpoint: Required value"]),
    ({"baseModel": None}, ["spec.baseModel: Required value"]),
    ({"checkpoint": {"uri": "/data/runs"}}, ["spec.checkpoint.uri", "must be pvc://CLAIM/path"]),
    ({"checkpoint": {"uri": "http://host/run.zip"}}, ["spec.checkpoint.uri", "https://host/archive"]),
    ({"checkpoint": {"uri": "hf://repo"}}, ["spec.checkpoint.uri", "must be hf://org/repo"]),
    ({"checkpoint": {"uri": "s3://bucket/../runs"}}, ["spec.checkpoint.uri", "must be s3://bucket/prefix"]),
    ({"checkpoint": {"uri": "https://user:word@host/a"}}, ["spec.checkpoint.uri", "secrets belong into secretRef"]),
    ({"checkpoint": {"uri": "https://host/a?token=b"}}, ["spec.checkpoint.uri", "without user, query"]),
    ({"checkpoint": {"uri": "oci://host/run"}}, ["spec.checkpoint.uri", "must be oci://host/repository:tag"]),
    ({"checkpoint": {"uri": "s3://b-1/r", "revision": "1"}}, ["spec.checkpoint.revision", "revision is for hf://"]),
    ({"checkpoint": {"uri": "hf://o/r@a", "revision": "b"}}, ["spec.checkpoint.revision", "keep one of the two"]),
    ({"checkpoint": {"uri": "hf://o/r", "revision": "a b"}}, ["spec.checkpoint.revision", "branch, tag or commit"]),
    ({"checkpoint": {"uri": "hf://o/r", "sha256": "ab" * 31}}, ["spec.checkpoint.sha256"]),
    ({"checkpoint": {"uri": "hf://o/r", "sha256": "AB" * 32}}, ["spec.checkpoint.sha256", "in lower case"]),
    ({"checkpoint": {"uri": "pvc://m/r", "sha256": "ab" * 32}}, ["spec.checkpoint.sha256", "nothing compares them"]),
    ({"baseModel": {"uri": "pvc://m/r", "secretRef": {"name": "a"}}}, ["spec.baseModel.secretRef", "remove secretRef"]),
    ({"baseModel": {"uri": "hf://o/r", "secretRef": {"name": "A"}}}, ["spec.baseModel.secretRef.name", "of a Secret"]),
    (
        {"baseModel": {"uri": "hf://o/r", "secretRef": {"name": "a", "namespace": "b"}}},
        ['unknown field "spec.baseModel.secretRef.namespace"'],
    ),
    ({"checkpoint": {"uri": "pvc://models/../etc"}}, ["spec.checkpoint.uri", "without '..'"]),
    ({"checkpoint": {"uri": "pvc://models//etc"}}, ["spec.checkpoint.uri", "'//'"]),
    ({"checkpoint": {"uri": "pvc://models/$(HOME)"}}, ["spec.checkpoint.uri", "'$'"]),
    ({"checkpoint": {"uri": "pvc://models/a\nb"}}, ["spec.checkpoint.uri", "must be pvc://CLAIM/path"]),
    ({"checkpoint": {"uri": "pvc://Models/a"}}, ["spec.checkpoint.uri", "name of a PersistentVolumeClaim"]),
    ({"checkpoint": {"uri": "pvc://m/" + "a" * 1024}}, ["spec.checkpoint.uri", "Too long", "1024"]),
    ({"baseModel": {"uri": "pvc://models/.hidden"}}, ["spec.baseModel.uri", "begin with a dot"]),
    ({"replicas": -1}, ["spec.replicas", "greater than or equal to 0"]),
    ({"replicas": 101}, ["spec.replicas", "less than or equal to 100"]),
    ({"replicas": "two"}, ["spec.replicas", "must be of type integer"]),
    ({"profile": ""}, ["spec.profile"]),
    ({"profile": "GPU"}, ["spec.profile", "should match"]),
    ({"profile": "p" * 64}, ["spec.profile", "Too long"]),
    ({"quantization": {"method": "int3"}}, ["spec.quantization.method", 'supported values: "nf4", "none"']),
    ({"quantization": {"method": "none", "doubleQuant": True}}, ["doubleQuant", "remove it, or set method to nf4"]),
    ({"quantization": {"computeDtype": "int8"}}, ["spec.quantization.computeDtype", "Unsupported value"]),
    ({"serving": {"maxModelLen": 1}}, ["spec.serving.maxModelLen", "greater than or equal to 16"]),
    ({"serving": {"maxQueue": 0}}, ["spec.serving.maxQueue", "greater than or equal to 1"]),
    ({"serving": {"maxConcurrency": 1025}}, ["spec.serving.maxConcurrency", "less than or equal to 1024"]),
    ({"serving": {"requestTimeoutSeconds": 3601}}, ["requestTimeoutSeconds", "less than or equal to 3600"]),
    ({"serving": {"tasks": []}}, ["spec.serving.tasks", "at least 1 items"]),
    ({"serving": {"tasks": ["chat"]}}, ["spec.serving.tasks", 'supported values: "generate", "genomics", "papers"']),
    ({"serving": {"tasks": ["papers", "papers"]}}, ["spec.serving.tasks", "Duplicate value"]),
    ({"science": {"lexicons": [{}]}}, ["spec.science.lexicons[0]", "name one place: configMap or source"]),
    ({"science": {"lexicons": [{**GENES, **MONDO}]}}, ["spec.science.lexicons[0]", "name one place"]),
    ({"science": {"lexicons": [{"source": {"uri": "pvc://m/a,b"}}]}}, ["lexicons[0].source.uri", "with a comma"]),
    ({"science": {"lexicons": [{"source": {"uri": "pvc://m/../b"}}]}}, ["lexicons[0].source.uri", "pvc://CLAIM/path"]),
    (
        {"science": {"lexicons": [{"configMap": {"name": "genes", "key": "../a"}}]}},
        ["spec.science.lexicons[0].configMap.key", "must be a key"],
    ),
    (
        {"science": {"lexicons": [{"configMap": {"name": "Genes", "key": "a"}}]}},
        ["spec.science.lexicons[0].configMap.name", "must be the name of a ConfigMap"],
    ),
    (
        {"science": {"lexicons": [{"configMap": {"name": "a", "key": "a", "namespace": "b"}}]}},
        ['unknown field "spec.science.lexicons[0].configMap.namespace"'],
    ),
    (
        {"science": {"calibration": [{"configMap": {"name": "a", "key": f"{n}"}} for n in range(9)]}},
        ["spec.science.calibration", "must have at most 8 items"],
    ),
    ({"autoscaling": {}}, ["spec.autoscaling.maxReplicas: Required value"]),
    ({"autoscaling": {"maxReplicas": 0}}, ["spec.autoscaling.maxReplicas", "greater than or equal to 1"]),
    ({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}, ["minReplicas", "must not be greater than maxReplicas"]),
    ({"autoscaling": {"maxReplicas": 2, "idleSeconds": 60}}, ["idleSeconds", "needs minReplicas: 0"]),
    ({"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "CPU", "target": 1}]}}, ["type", "Unsupported value"]),
    ({"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "GPUMemory", "target": 101}]}}, ["target", "percentages"]),
    (
        {"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "LatencyP95", "target": 120}]}},
        ["spec.autoscaling.metrics", "must be less than serving.requestTimeoutSeconds"],
    ),
    (
        {"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "InFlight", "target": 96}]}},
        ["serving.maxConcurrency and serving.maxQueue together"],
    ),
    (
        {"autoscaling": {"maxReplicas": 2, "metrics": [{"type": "InFlight", "target": n} for n in (1, 2)]}},
        ["spec.autoscaling.metrics", "Duplicate value"],
    ),
    ({"relicas": 2}, ['unknown field "spec.relicas"']),
]


@pytest.mark.parametrize(("spec", "sentence"), BAD, ids=[str(spec)[:50] for spec, _ in BAD])
def test_a_bad_manifest_is_refused_with_a_sentence_that_names_the_field(
    lab: Lab, spec: dict[str, Any], sentence: list[str]
) -> None:
    manifest = a_manifest("bad", lab.namespace, **spec)
    manifest["spec"] = {key: value for key, value in manifest["spec"].items() if value is not None}
    with pytest.raises(RefusedError) as no:
        lab.kube.create(manifest)
    assert no.value.code in (400, 422)
    for words in sentence:
        assert words in str(no.value)


@pytest.mark.parametrize(
    "source",
    [
        {"uri": "hf://Org/repo_1.x@refs/pr/1", "sha256": "ab" * 32, "secretRef": {"name": "hub.token"}},
        {"uri": "hf://org/repo", "revision": "v1/2"},
        {"uri": "s3://my.bucket/runs/step=100,lr=1e-4/"},
        {"uri": "https://host.example:8443/a%20b/run.tar.gz"},
        {"uri": "oci://registry:5000/lab/run:v1"},
        {"uri": "oci://registry.example/run@sha256:" + "ab" * 32},
        {"uri": "https://host/" + "a" * 1011},
    ],
    ids=lambda source: source["uri"][:30],
)
def test_every_kind_of_source_is_accepted(lab: Lab, source: dict[str, Any]) -> None:
    assert lab.create("sourced", checkpoint=source, baseModel=source)["spec"]["checkpoint"] == source


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 0},
        {"replicas": 100},
        {"profile": "p" * 63},
        {"science": {"lexicons": [{"configMap": {"name": "m" * 253, "key": "k" * 252 + f"{n}"}} for n in range(8)]}},
        {
            "autoscaling": {
                "minReplicas": 0,
                "maxReplicas": 100,
                "metrics": [{"type": "GPUUtilization", "target": 100}, {"type": "InFlight", "target": 0.001}],
                "scaleUpDelaySeconds": 3600,
                "scaleDownDelaySeconds": 0,
                "idleSeconds": 5,
            }
        },
    ],
    ids=lambda change: str(change)[:40],
)
def test_the_bounds_themselves_are_accepted(lab: Lab, change: dict[str, Any]) -> None:
    assert lab.create("edge", **change)["spec"].items() >= change.items()


def test_every_default_stands_in_the_stored_object(lab: Lab) -> None:
    spec = lab.create(autoscaling={"maxReplicas": 2})["spec"]
    assert spec["replicas"] == 1
    assert spec["autoscaling"] == {
        "minReplicas": 1,
        "maxReplicas": 2,
        "scaleUpDelaySeconds": 0,
        "scaleDownDelaySeconds": 300,
    }
    assert spec["quantization"] == {"method": "nf4", "computeDtype": "bfloat16"}
    assert spec["serving"] == {
        "maxModelLen": 2048,
        "maxConcurrency": 32,
        "maxQueue": 64,
        "requestTimeoutSeconds": 120,
        "tasks": ["generate", "genomics", "papers"],
    }
    assert "science" not in spec


def test_a_plain_method_none_is_accepted(lab: Lab) -> None:
    assert lab.create(quantization={"method": "none"})["spec"]["quantization"]["method"] == "none"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("scim.spec", "What to serve, on what, and how much of it"),
        ("scim.spec.checkpoint.uri", "pvc://CLAIM/path"),
        ("scim.spec.replicas", "Pods that serve this model"),
        ("scim.spec.serving.tasks", "What is served; requests for the rest are refused"),
        ("scim.spec.science.lexicons.configMap", "In a ConfigMap of this namespace"),
        ("scim.status.conditions", "False: your turn"),
    ],
)
def test_kubectl_explain_reads_well(kube: Kube, lab: Lab, path: str, sentence: str) -> None:
    assert sentence in " ".join(kube.ctl("explain", path).split())


def test_no_field_is_left_without_an_explanation(kube: Kube, lab: Lab) -> None:
    text = kube.ctl("explain", "scim", "--recursive")
    assert "replicas" in text  # the walk below is not empty
    crd = kube.get("CustomResourceDefinition", "scientificmodels.serving.scientificllm.io")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert undescribed(schema["properties"]["spec"], "spec") == []
    assert undescribed(schema["properties"]["status"], "status") == []


def undescribed(schema: dict[str, Any], path: str) -> list[str]:
    found = [] if schema.get("description") or path.endswith("[]") else [path]
    for name, child in schema.get("properties", {}).items():
        found += undescribed(child, f"{path}.{name}")
    if "items" in schema:
        found += undescribed(schema["items"], f"{path}[]")
    return found


def test_kubectl_scale_sets_replicas(kube: Kube, lab: Lab) -> None:
    lab.create()
    kube.ctl("scale", "scim/hbb", "--replicas=3", "-n", lab.namespace)
    assert lab.model()["spec"]["replicas"] == 3


def test_kubectl_scale_beyond_the_bounds_is_refused(kube: Kube, lab: Lab) -> None:
    lab.create()
    with pytest.raises(Exception, match="less than or equal to 100"):
        kube.ctl("scale", "scim/hbb", "--replicas=101", "-n", lab.namespace)


def test_kubectl_get_shows_the_columns_that_people_ask_for(kube: Kube, lab: Lab) -> None:
    lab.create()
    header = kube.ctl("get", "scim", "-n", lab.namespace).splitlines()[0].split()
    assert header == ["NAME", "READY", "REASON", "REPLICAS", "SERVING", "URL", "AGE"]


def test_a_name_of_253_characters_is_accepted_and_one_more_is_not(lab: Lab) -> None:
    lab.create("n" * 253)
    with pytest.raises(RefusedError, match="must be no more than 253"):
        lab.create("n" * 254)


def test_status_cannot_be_set_through_the_resource_itself(kube: Kube, lab: Lab) -> None:
    lab.create()
    kube.patch(SCIM, "hbb", lab.namespace, {"status": {"url": "http://elsewhere"}})
    assert "url" not in lab.model().get("status", {})
