"""A profile speaks of the answers that it was made for, and of no others."""

import json
from pathlib import Path
from typing import Any

import pytest

from forge_inference.science.genomics.profiles import Circumstances, UnusableProfile, nearest, read, told
from tests.support.profiles import SERVED, a_profile

ASKED = ("yes_no_maybe", "gene_function", 3)


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    [found] = read([a_profile(tmp_path / "lab.json")])
    assert (found.name, found.content.questions.count) == ("lab.json", 200)
    assert found.content.fit.temperature == pytest.approx(2, rel=0.2)
    assert found.sha256.startswith("sha256:")
    assert found.differs(SERVED, *ASKED) == []


@pytest.mark.parametrize("field", list(Circumstances.model_fields))
def test_anything_else_that_answers_is_named(tmp_path: Path, field: str) -> None:
    [found] = read([a_profile(tmp_path / "lab.json")])
    other = SERVED.model_copy(update={field: "sha256:ee"})
    assert found.mismatches(other) == [field]
    assert found.differs(other, *ASKED) == [field]
    alone = SERVED.model_copy(update={"adapter_digest": None})
    assert found.mismatches(alone) == ["adapter_digest"]


def test_other_questions_and_too_few_of_them_are_named(tmp_path: Path) -> None:
    [found] = read([a_profile(tmp_path / "lab.json", count=199)])
    assert found.differs(SERVED, "choice", "drug_discovery", 4) == ["answer_form", "query_type", "options", "questions"]
    assert found.differs(SERVED, *ASKED) == ["questions"]


def test_the_nearest_profile_is_the_one_that_is_told_of(tmp_path: Path) -> None:
    far = SERVED.model_copy(update={"adapter_digest": "sha256:ee", "quantization": "none/float32"})
    near = SERVED.model_copy(update={"adapter_digest": "sha256:ff"})
    mounted = read([a_profile(tmp_path / "far.json", far), a_profile(tmp_path / "near.json", near)])
    found = nearest(mounted, SERVED, *ASKED)
    assert found
    assert (found[0].name, found[1]) == ("near.json", ["adapter_digest"])
    assert nearest([], SERVED, *ASKED) is None


def test_two_profiles_for_the_same_answers_are_refused(tmp_path: Path) -> None:
    one, other = a_profile(tmp_path / "one.json"), a_profile(tmp_path / "other.json", temperature=3)
    with pytest.raises(UnusableProfile, match=r"one\.json and other\.json are both for gene_function"):
        read([one, other])
    assert len(read([one, a_profile(tmp_path / "choice.json", form="choice")])) == 2


def changed(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    *way, last = place.split(".")
    at = content
    for key in way:
        at = at[key]
    at[last] = value
    return content


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("format", 2),
        ("fit.temperature", 0),
        ("fit.temperature", float("nan")),
        ("fit.temperature", float("inf")),
        ("fit.temperature", "2"),
        ("fit.surprise", 1),
        ("valid_for.adapter_digest", "aa"),
        ("valid_for.query_types", []),
        ("valid_for.query_types", ["weather"]),
        ("valid_for.answer_form", "text"),
        ("measured.after.ece", -1),
        ("measured.after.ece", None),
        ("questions.count", True),
        ("created", "yesterday"),
    ],
)
def test_what_is_no_profile_is_refused_by_file_and_key(tmp_path: Path, place: str, value: Any) -> None:
    path = a_profile(tmp_path / "lab.json")
    path.write_text(json.dumps(changed(json.loads(path.read_text()), place, value)))
    with pytest.raises(UnusableProfile) as refused:
        read([path])
    assert str(refused.value).startswith(f"{path}: ")
    assert place in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 200_000, b" " * (2**20 + 1)])
def test_what_is_not_even_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(UnusableProfile, match=r"odd\.json: "):
        read([path])
    with pytest.raises(UnusableProfile, match="cannot be read"):
        read([tmp_path])


def test_an_answers_provenance_tells_under_what_it_was_given() -> None:
    provenance = {
        "base_model_digest": "sha256:bb",
        "adapter_digest": "sha256:aa",
        "quantization": {"method": "nf4", "doubleQuant": True, "computeDtype": "bfloat16"},
        "prompt": {"chat_template_sha256": None, "wording_sha256": "sha256:cc", "prompt_sha256": "sha256:00"},
    }
    assert told(provenance) == SERVED
    plain = {**provenance, "quantization": {"method": "none", "doubleQuant": False, "computeDtype": "float32"}}
    assert told(plain).quantization == "none/float32"
