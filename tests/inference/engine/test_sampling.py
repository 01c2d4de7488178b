"""Choosing a token: which ones may be chosen, and what is told of the chosen one."""

import math

import pytest
import torch

from forge_inference.engine.contract import Sampling
from forge_inference.engine.sampling import Choice, Chooser, choose, filtered, likeliest

pytestmark = pytest.mark.model
CPU = torch.device("cpu")
LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()


def _choose(logits: torch.Tensor, choosers: list[Chooser]) -> list[Choice]:
    return choose(logits, likeliest(logits).tolist(), range(len(logits)), choosers)


def _chosen(sampling: Sampling, times: int = 400, logits: torch.Tensor = LOGITS) -> list[int]:
    chooser = Chooser(sampling, [], CPU)
    return [_choose(logits[None], [chooser])[0].token for _ in range(times)]


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (0, 1.0, [0, 1, 2, 3]),
        (2, 1.0, [0, 1]),
        (9, 1.0, [0, 1, 2, 3]),
        (0, 0.45, [0]),
        (0, 0.6, [0, 1]),
        (0, 0.9, [0, 1, 2]),
        (0, 0.0, [0]),
        (1, 0.99, [0]),
        (3, 0.6, [0, 1]),
    ],
)
def test_the_filters_keep_the_likeliest_tokens(top_k: int, top_p: float, kept: list[int]) -> None:
    order = torch.tensor([2, 0, 3, 1])  # the filters must not rely on sorted logits
    found = torch.empty(4)
    found[order] = filtered(LOGITS[order], top_k, top_p)[torch.arange(4)]
    assert [i for i in range(4) if found[i] > -math.inf] == kept


def test_sampling_follows_the_temperature() -> None:
    share = sum(token == 0 for token in _chosen(Sampling(temperature=1.0, seed=5), 4000)) / 4000
    assert share == pytest.approx(0.5, abs=0.04)
    cold = 0.5**2 / (0.5**2 + 0.3**2 + 0.15**2 + 0.05**2)
    share = sum(token == 0 for token in _chosen(Sampling(temperature=0.5, seed=5), 4000)) / 4000
    assert share == pytest.approx(cold, abs=0.04)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-3])
def test_no_temperature_or_nearly_none_is_greedy(temperature: float) -> None:
    assert set(_chosen(Sampling(temperature=temperature, seed=1))) == {0}


@pytest.mark.parametrize("seed", [0, 7, -1, 2**80])
def test_the_same_seed_chooses_the_same(seed: int) -> None:
    sampling = Sampling(temperature=1.5, seed=seed)
    assert _chosen(sampling) == _chosen(sampling)


def test_without_a_seed_answers_differ() -> None:
    assert _chosen(Sampling(temperature=1.0)) != _chosen(Sampling(temperature=1.0))


def test_the_log_probability_is_told_before_temperature_and_filters() -> None:
    [choice] = _choose(LOGITS[None] + 7, [Chooser(Sampling(temperature=3.0, top_k=1), [], CPU, top=2)])
    assert choice.token == 0
    assert choice.logprob == pytest.approx(math.log(0.5), abs=1e-5)
    assert [token for token, _ in choice.top] == [0, 1]
    assert choice.top[1][1] == pytest.approx(math.log(0.3), abs=1e-5)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_told_and_disturb_no_other_answer(broken: float) -> None:
    logits = torch.tensor([[0.0, broken], [0.0, 1.0], [math.nan, math.nan]])
    hot = Sampling(temperature=1.0, top_p=0.5, top_k=1, min_p=0.1, presence_penalty=1)
    choices = _choose(logits, [Chooser(hot, [], CPU), Chooser(Sampling(), [], CPU), Chooser(Sampling(), [], CPU)])
    assert [choice.is_number for choice in choices] == [False, True, False]
    assert choices[1].token == 1


def test_a_minimum_drops_what_is_far_less_likely_than_the_likeliest() -> None:
    kept = filtered(LOGITS, 0, 1.0, min_p=0.5)
    assert [i for i in range(4) if kept[i] > -math.inf] == [0, 1]


def test_repetition_is_of_prompt_and_answer_and_the_others_of_the_answer() -> None:
    logits = torch.tensor([2.0, 1.9, -1.0, -1.1])

    def after(sampling: Sampling, new: list[int]) -> int:
        chooser = Chooser(sampling, [0], CPU)
        for token in new:
            chooser.remember(token)
        return _choose(logits[None], [chooser])[0].token

    assert after(Sampling(), []) == 0
    assert after(Sampling(repetition_penalty=1.2), []) == 1  # 0 is in the prompt
    assert after(Sampling(presence_penalty=0.2), []) == 0
    assert after(Sampling(presence_penalty=0.2), [0]) == 1
    assert after(Sampling(frequency_penalty=0.06), [0]) == 0
    assert after(Sampling(frequency_penalty=0.06), [0, 0]) == 1
    # A negative logit is multiplied: dividing would make it likelier.
    assert after(Sampling(repetition_penalty=100.0), [0, 1, 2]) == 0


def test_a_nucleus_wider_than_what_is_usually_likely_is_exact() -> None:
    flat = torch.zeros(2000)
    assert int((filtered(flat, 0, 0.9) > -math.inf).sum()) == pytest.approx(1800, abs=1)
