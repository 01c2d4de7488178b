"""Which tasks and which files of a lab a manifest may name, and the sentence for those that it may not."""

from typing import Any

import pytest

from forge_operator.api.science import ConfigMapKey
from forge_operator.errors import InvalidSpec
from tests.support.models import a_model

GENES = {"configMap": {"name": "lab-genes", "key": "genes.tsv"}}
MONDO = {"source": {"uri": "pvc://models/ontologies/mondo.obo"}}


def test_every_task_is_served_unless_some_are_named() -> None:
    assert a_model().spec.serving.tasks == ["generate", "genomics", "papers"]
    assert a_model(serving={"tasks": ["papers"]}).spec.serving.tasks == ["papers"]


@pytest.mark.parametrize("tasks", [[], ["chat"], ["papers", "Genomics"]])
def test_no_task_and_an_unknown_one_are_refused(tasks: list[str]) -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.serving\.tasks"):
        a_model(serving={"tasks": tasks})


def test_files_have_places_by_their_kind_and_number() -> None:
    files = a_model(science={"lexicons": [GENES, MONDO], "calibration": [GENES]}).spec.science.files
    assert list(files) == ["lexicon-0", "lexicon-1", "calibration-0"]
    assert files["lexicon-0"] == ConfigMapKey(name="lab-genes", key="genes.tsv")


def test_sources_are_all_that_are_named_by_their_fields() -> None:
    spec = a_model(science={"lexicons": [GENES, MONDO]}).spec
    assert list(spec.sources) == ["spec.checkpoint", "spec.baseModel", "spec.science.lexicons[1].source"]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ({}, "name one place: configMap or source"),
        ({**GENES, **MONDO}, "name one place: configMap or source"),
        ({"source": {"uri": "pvc://models/a,b.obo"}}, "a path with a comma would be two"),
        ({"source": {"uri": "pvc://models/../x"}}, "must be pvc://CLAIM/path"),
        ({"configMap": {"name": "Genes", "key": "a"}}, "must be the name of a ConfigMap of this namespace"),
        ({"configMap": {"name": "genes", "key": "a/b"}}, "must be a key of the ConfigMap"),
        ({"configMap": {"name": "genes", "key": "..data"}}, "must be a key of the ConfigMap"),
        ({"configMap": {"name": "genes"}}, "Field required"),
        ({"configMap": {"name": "genes", "key": "a", "namespace": "other"}}, "no such field"),
    ],
    ids=str,
)
def test_a_file_that_is_nowhere_or_elsewhere_is_refused_and_named(file: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.science\.lexicons\.0") as refusal:
        a_model(science={"lexicons": [file]})
    assert sentence in str(refusal.value)


def test_more_files_than_a_pod_has_places_for_are_refused() -> None:
    several = [{"configMap": {"name": "genes", "key": f"{number}.tsv"}} for number in range(9)]
    assert len(a_model(science={"calibration": several[:8]}).spec.science.files) == 8
    with pytest.raises(InvalidSpec, match=r"^spec\.science\.calibration"):
        a_model(science={"calibration": several})
