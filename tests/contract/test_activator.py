"""The activator answers in the server's place: what they must have in common."""

import json

from forge_inference.web import errors, middleware
from forge_operator.activator import incoming, refusals
from forge_operator.activator.refusals import Asleep


def test_both_take_bodies_of_one_size() -> None:
    assert incoming.BODY_LIMIT == middleware.BODY_LIMIT


def test_both_speak_of_errors_in_one_shape() -> None:
    answer = refusals.answer(Asleep("why"))
    assert json.loads(answer.text or "") == errors.body("Asleep", "why")
