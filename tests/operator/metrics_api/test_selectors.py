"""Label selectors mean what they mean to the API server."""

import pytest

from forge_operator.metrics_api.selectors import parse

LABELS = {"app": "hbb", "serving.scientificllm.io/model-uid": "6a3c-1d1e", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("app=hbb", True),
        ("app==hbb", True),
        ("app = hbb", True),
        ("app=other", False),
        ("app!=other", True),
        ("absent!=other", True),
        ("absent=", False),
        ("empty=", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("app in (hbb,abc)", True),
        ("app in (abc)", False),
        ("absent in (abc)", False),
        ("app notin (abc, def)", True),
        ("absent notin (abc)", True),
        ("app notin (hbb)", False),
        ("app in (hbb,abc),serving.scientificllm.io/model-uid=6a3c-1d1e", True),
        ("app=hbb,serving.scientificllm.io/model-uid=other", False),
    ],
)
def test_a_selector_matches_as_in_kubernetes(text: str, matches: bool) -> None:
    assert parse(text)(LABELS) is matches


@pytest.mark.parametrize("text", ["a=b=c", "app in hbb", "=b", "a b", "app in (a", ",", "a>5", "-a=b", "a" * 5000])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="selector"):
        parse(text)
