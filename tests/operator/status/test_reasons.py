"""Every reason stands in the documentation with its sentence."""

import pytest

from forge_operator.status.reasons import FETCH_WORDS, LAST_WORDS, Reason
from tests.golden import ROOT, matches_golden

PAGE = ROOT / "docs/reference/conditions.md"


def _page() -> str:
    rows = "\n".join(f"| `{reason}` | {reason.sentence} |" for reason in Reason)
    return f"""<!-- Checked by tests/operator/status/test_reasons.py; REFRESH_GOLDEN=1 writes it. -->
# Conditions

`kubectl get scim` shows Ready and its reason; `-o wide` adds the message, which says what to do.

| condition | True when |
|---|---|
| `Ready` | a generation through this adapter succeeded on a ready pod of the present spec |
| `CheckpointVerified` | the ready pods loaded one and the same checkpoint, and its folder still holds it |
| `AdapterEffective` | the adapter changes the base model's answers; absent for a whole model, which has no adapter |
| `Progressing` | all pods run the present spec |
| `AutoscalingActive` | the autoscaler sees its metrics, or the model rests at 0; absent without spec.autoscaling |

**True**: it works. **False**: it is your turn. **Unknown**: the operator is still at it. `lastTransitionTime` moves
only when this answer changes. A model with `replicas: 0` is not ready (`ScaledToZero`), since nothing answers.

| reason | meaning |
|---|---|
{rows}
"""


def test_the_page_says_what_the_code_says() -> None:
    assert matches_golden(PAGE, _page()), "run this test with REFRESH_GOLDEN=1"


def test_reasons_are_words_and_their_meanings_sentences() -> None:
    assert all(str(reason).isalpha() and str(reason)[0].isupper() for reason in Reason)
    assert all(reason.sentence.endswith(".") for reason in Reason)


@pytest.mark.parametrize(("begins", "words"), [("Reasons: ", LAST_WORDS), ("Of the fetcher: ", FETCH_WORDS)])
def test_last_words_are_those_of_the_architecture_page(begins: str, words: frozenset[Reason]) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith(begins))
    assert set(line.replace("`", "").removeprefix(begins).rstrip(".").split(", ")) == set(words)
