"""The generated CRD: structural, bounded everywhere, and the same as what is committed."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from forge_operator.api.crd import CHART, PLAIN, ROOT, definition, rendered, structural
from tests.support.models import a_body

Node = dict[str, Any]


def _schema() -> Node:
    schema: Node = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _walk(child, f"{path}.{name}")
    if "items" in node:
        yield from _walk(node["items"], f"{path}[]")


def _unbounded(node: Node) -> bool:
    match node["type"]:
        case "string":
            return "maxLength" not in node and "enum" not in node
        case "array":
            return "maxItems" not in node
        case "integer" | "number":
            return "minimum" not in node or "maximum" not in node
        case "object":
            return "properties" not in node and "maxProperties" not in node
        case kind:
            return kind != "boolean"


def test_no_node_is_unbounded() -> None:
    # `metadata` is the API server's own; a schema may not bound it further than names.
    assert [path for path, node in _walk(_schema()) if path != ".metadata" and _unbounded(node)] == []


def test_every_field_has_a_description_for_kubectl_explain() -> None:
    own = (".apiVersion", ".kind", ".metadata")
    nodes = [(path, node) for path, node in _walk(_schema()) if path not in own and not path.endswith("[]")]
    assert [path for path, node in nodes if not node.get("description", "").endswith(".")] == []


def test_every_rule_has_a_sentence_for_people() -> None:
    rules = [rule for _, node in _walk(_schema()) for rule in node.get("x-kubernetes-validations", [])]
    assert len(rules) >= 3
    assert all(len(rule["message"]) > 20 and len(rule["message"]) < 2048 for rule in rules)


def test_defaults_are_visible_and_never_contradict_a_rule() -> None:
    quantization = _schema()["properties"]["spec"]["properties"]["quantization"]
    assert quantization["default"] == {}
    assert quantization["properties"]["method"]["default"] == "nf4"
    # With a default of true, a plain `method: none` would be refused for a field that nobody wrote.
    assert "default" not in quantization["properties"]["doubleQuant"]


def test_conditions_merge_by_type() -> None:
    conditions = _schema()["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_the_scale_subresource_and_the_columns_point_at_fields_that_exist() -> None:
    version = definition()["spec"]["versions"][0]
    paths = {path for path, _ in _walk(_schema())}
    assert set(version["subresources"]["scale"].values()) <= paths
    columns = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    plain = {path for path in columns if "[?" not in path and not path.startswith(".metadata")}
    assert plain <= paths


def test_a_valid_manifest_fits_the_schema_and_a_wrong_one_does_not() -> None:
    validator = Draft202012Validator(_schema())
    assert list(validator.iter_errors(a_body(replicas=3, profile="gpu"))) == []
    assert list(validator.iter_errors(a_body(replicas=101))) != []


@pytest.mark.parametrize(
    "node",
    [
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "object", "additionalProperties": {"type": "string"}, "patternProperties": {}},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ],
)
def test_what_cannot_be_said_in_a_structural_schema_is_refused(node: Node) -> None:
    with pytest.raises(ValueError, match="structural"):
        structural(node, {})


def test_optional_means_absent_and_never_null() -> None:
    node = {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}], "default": None, "title": "X"}
    assert structural(node, {}) == {"type": "string", "maxLength": 3}


def test_the_committed_files_are_what_the_types_say() -> None:
    stale = [str(path) for path, text in rendered().items() if (ROOT / path).read_text() != text]
    assert stale == [], "run `make generate`"


def test_helm_keeps_the_crd_and_reads_no_braces_in_it_as_its_own() -> None:
    text = rendered()[CHART]
    note, guard, *body, end = text.splitlines()
    assert note.startswith("# Generated")
    assert (guard, end) == ("{{- if .Values.crds.install }}", "{{- end }}")
    crd = yaml.safe_load("\n".join(body))
    assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert crd == yaml.safe_load(rendered()[PLAIN]) | {"metadata": crd["metadata"]}
    assert "{{" not in "\n".join(body)
