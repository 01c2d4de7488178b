"""What of a change in status is told as an event."""

from typing import Any

import pytest

from forge_operator.status.news import News, news


def a_status(**reasons: str) -> dict[str, Any]:
    """`Ready="True/Serving"` and so on."""
    parts = {kind: words.split("/") for kind, words in reasons.items()}
    return {
        "conditions": [
            {"type": kind, "status": truth, "reason": reason, "message": f"{reason}!"}
            for kind, (truth, reason) in parts.items()
        ]
    }


LOADING = a_status(Ready="Unknown/Loading", CheckpointVerified="Unknown/NotLoaded")
SERVING = a_status(Ready="True/Serving", CheckpointVerified="True/Verified")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, LOADING, [News("Normal", "Loading", "Loading!")]),
        (LOADING, LOADING, []),
        (LOADING, SERVING, [News("Normal", "Serving", "Serving!")]),
        # One trouble that two conditions tell of is one event.
        (
            LOADING,
            a_status(Ready="False/CheckpointInvalid", CheckpointVerified="False/CheckpointInvalid"),
            [News("Warning", "CheckpointInvalid", "CheckpointInvalid!")],
        ),
        (
            SERVING,
            a_status(Ready="True/Serving", CheckpointVerified="False/CheckpointChanged"),
            [News("Warning", "CheckpointChanged", "CheckpointChanged!")],
        ),
    ],
)
def test_each_step_and_each_trouble_is_told_once(
    before: dict[str, Any], after: dict[str, Any], told: list[News]
) -> None:
    assert news(before, after) == told
