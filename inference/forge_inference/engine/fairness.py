"""Who goes first in a step: answers, then prompts in their order, and last the prompts of patient requests.

A prompt's part in a step is what everybody else in it waits for. A paper is read in many long prompts, one behind the
other, so theirs are read in small parts while somebody else is answered.
"""

from typing import Any

from transformers.generation.continuous_batching.requests import RequestStatus
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler

NAME = "fair"
_PART = 32  # of a step's tokens, one


class Fair(FIFOScheduler):
    """The library's scheduler, with candidates in another order."""

    def _process_candidates(self, candidates: list[Any], token_budget: int, *more: Any) -> Any:
        """Called for each step with everybody who may take part in it; what is patient has `answer.patient`."""
        answers = [each for each in candidates if each.status == RequestStatus.DECODING]
        prompts = [each for each in candidates if each.status != RequestStatus.DECODING]
        hasty = [each for each in prompts if not each.answer.patient]
        patient = [each for each in prompts if each.answer.patient]
        if patient and (hasty or not all(each.answer.patient for each in answers)):
            needed = len(answers) + sum(len(each.remaining_prefill_tokens) for each in hasty)
            token_budget = min(token_budget, needed + max(1, token_budget // _PART))
        return super()._process_candidates([*answers, *hasty, *patient], token_budget, *more)


SCHEDULER_MAPPING[NAME] = Fair
