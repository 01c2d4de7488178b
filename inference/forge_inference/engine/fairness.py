"""Who takes part in a step: answers, then prompts in their order, and last patient requests.

A paper is read in many long prompts, one behind the other, and what is patient lengthens the step for everybody else
in it. So it takes part only as long as the others lose no more than a part of their time by it.
"""

from collections.abc import Collection
from typing import Any

from transformers.generation.continuous_batching.requests import RequestStatus
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler

NAME = "fair"
_PART = 32  # of a step's tokens, one is of a patient prompt while others are in it
_LOST = 0.4  # seconds that the others may lose to patient requests, for each of their own
_SLOWER = 1.02  # a step of the others' own may take so many times the last before it is said to be one


class Fair(FIFOScheduler):
    """The library's scheduler, with candidates in another order, and sometimes without the patient ones.

    `answer.patient` says who is. Steps in which nobody else takes part are theirs alone.
    """

    _alone = float("inf")  # seconds of a step of the others
    _owed = 0.0  # seconds that patient requests took of the others'
    _others = _patient = False  # whether they took part in the last step
    under_way: Collection[str] = ()  # who takes part in the next step, by name, where it is begun already

    def took(self, seconds: float) -> None:
        """How long the step took that was scheduled last."""
        if self._others and self._patient:
            self._owed += max(0.0, seconds - self._alone)
        elif self._others:
            self._alone = min(seconds, self._alone * _SLOWER)
            self._owed = max(0.0, self._owed - seconds * _LOST)

    def _process_candidates(self, candidates: list[Any], token_budget: int, *more: Any) -> Any:
        """Called for each step with everybody who may take part in it."""
        begun = [each for each in candidates if each.request_id in self.under_way and _answers(each)]
        candidates = begun or candidates
        others = [each for each in candidates if not each.answer.patient]
        patient = [each for each in candidates if each.answer.patient]
        self._others, self._patient = bool(others), bool(patient)
        if others and patient:
            if self._owed > 0 or self._alone == float("inf"):
                self._patient = False
                found = super()._process_candidates(sorted(others, key=_turn), token_budget, *more)
                if found[0]:
                    return found
                self._patient = True  # the cache is full of what they wrote: it becomes free by going on
            needed = sum(_needed(each) for each in others)
            needed += sum(_answers(each) for each in patient)
            token_budget = min(token_budget, needed + max(1, token_budget // _PART))
        ordered = sorted(candidates, key=_turn)
        return super()._process_candidates(ordered, _uncut(ordered, token_budget), *more)


def _uncut(ordered: list[Any], most: int) -> int:
    """How many of a step's tokens to use, so that no prompt is cut which the next step could read as a whole.

    The second part of a prompt is attended to from the first part's keys, which have to be gathered for it.
    """
    used, reads = 0, False
    for each in ordered:
        needed = _needed(each)
        if used + needed > most:
            return used if reads and needed <= most else most
        used, reads = used + needed, reads or not _answers(each)
    return most


def _needed(each: Any) -> int:
    """Tokens of a step: what is left of a prompt, or the one of an answer, of whose prompt nothing is left."""
    return max(1, len(each.remaining_prefill_tokens))


def _turn(each: Any) -> tuple[bool, bool]:
    return not _answers(each), each.answer.patient


def _answers(each: Any) -> bool:
    """Whether its prompt is read."""
    return bool(each.status == RequestStatus.DECODING)


SCHEDULER_MAPPING[NAME] = Fair
