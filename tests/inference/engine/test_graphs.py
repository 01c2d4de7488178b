"""Steps that are replayed compute what others do. Recording itself needs a GPU: test_on_gpu.py."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forge_inference.engine import attention, fewer, table
from forge_inference.engine.adapters import BASE, Slots
from forge_inference.engine.answer import Ear
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import CHECKPOINT, Chunk, Quantization, Request
from forge_inference.engine.errors import EngineError
from forge_inference.engine.graphs import Graphs, Replay, standard
from forge_inference.engine.kernels import Kernels
from forge_inference.engine.serving import Serving
from tests.inference.engine.by_hand import ByHand, Recorder, batches_of, varlen
from tests.inference.engine.conftest import NF4, PLAIN, QUIET

pytestmark = [pytest.mark.model, QUIET]
PROMPTS = ["the gene", "a protein that binds", "x", "what binds the other protein?"]


def _answers(serving: Serving, recorder: Recorder | None, kernels: Kernels | None = None) -> list[list[Chunk]]:
    adapters, batches = serving.weights.adapters, batches_of(serving, recorder, kernels)
    ears: list[list[Chunk | EngineError]] = []
    for number, prompt in enumerate(PROMPTS):
        ears.append([])
        slot = BASE if number % 2 else adapters.slot(CHECKPOINT)
        request = Request(prompt, 12 + 6 * number, ignore_eos=True)
        batches.add(
            serving.answer(request, serving.prompts.encode(prompt, chat=True), slot, Ear(ears[-1].append, lambda: None))
        )
    while batches.step():
        pass
    return [[chunk for chunk in ear if isinstance(chunk, Chunk)] for ear in ears]


@pytest.mark.parametrize("by", [None, ByHand])
def test_replayed_steps_give_the_answers_of_computed_ones(
    make: Callable[..., BatchingEngine], by: type[ByHand] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = make(batch=6)._serving
    assert serving is not None
    recorder, kernels = Recorder(), by and by()
    computed = _tokens(_answers(serving, None))
    # As in 16 bits on a GPU, where nothing is worked out outside of what is recorded.
    monkeypatch.setattr(table, "Spans", lambda *_: None)
    monkeypatch.setattr(attention, "_on_cuda", varlen)
    assert _tokens(_answers(serving, recorder, kernels)) == computed
    assert 0 < recorder.recorded < recorder.replayed
    if kernels:
        assert kernels.attended > 0 < kernels.adapted


def _tokens(answers: list[list[Chunk]]) -> list[list[int]]:
    return [[chunk.token for chunk in answer] for answer in answers]


def test_a_table_of_answers_gives_what_packed_ones_give(make: Callable[..., BatchingEngine]) -> None:
    serving = make(batch=6)._serving
    assert serving is not None
    packed, in_table = _answers(serving, None), _answers(serving, None, ByHand())
    assert _tokens(in_table) == _tokens(packed)
    for one, other in zip(packed, in_table, strict=True):
        assert [chunk.logprob for chunk in other] == pytest.approx([chunk.logprob for chunk in one], abs=1e-4)


@pytest.mark.parametrize("quantized", [PLAIN, NF4], ids=["plain", "nf4"])
def test_layers_in_fewer_kernels_answer_as_before(make: Callable[..., BatchingEngine], quantized: Quantization) -> None:
    serving = make(batch=6, quantization=quantized)._serving
    assert serving is not None
    model, by = serving.weights.model, ByHand()
    before, size = _answers(serving, None), sum(weight.numel() for weight in model.parameters())
    fewer.use(model, by)
    assert sum(weight.numel() for weight in model.parameters()) == size
    for kernels in (None, by):
        multiplied = by.multiplied
        assert _tokens(_answers(serving, None, kernels)) == _tokens(before)
        assert by.multiplied > multiplied
    assert by.attended == by.rotated


def _graphs(recorder: Any) -> tuple[Slots, Graphs]:
    slots = Slots()
    return slots, Graphs(slots, 4, recorder)


def _run(graphs: Graphs, key: tuple[int, ...], read: torch.Tensor) -> list[list[float]]:
    (found,) = graphs.run(key, lambda: (read[:, None].float() * torch.tensor([1.0, 10.0]),))
    answer: list[list[float]] = found.tolist()
    return answer


def test_a_step_is_recorded_when_its_sizes_are_seen_again_and_told_what_is_new() -> None:
    recorder, read = Recorder(), torch.zeros(2)
    _, graphs = _graphs(recorder)
    for number in range(1, 5):
        read[0] = number
        assert _run(graphs, (2, 256), read) == [[number, 10 * number], [0, 0]]
    assert (recorder.recorded, recorder.replayed) == (1, 2)


def test_other_adapters_make_recordings_void() -> None:
    recorder, read = Recorder(), torch.ones(1)
    slots, graphs = _graphs(recorder)
    for _ in range(2):
        _run(graphs, (1, 256), read)
    slots.version += 1
    assert _run(graphs, (1, 256), read) == [[1, 10]]
    assert (recorder.recorded, recorder.replayed) == (1, 0)


def test_a_step_that_cannot_be_recorded_is_computed(caplog: pytest.LogCaptureFixture) -> None:
    def full(_: Callable[[], None]) -> Replay:
        raise torch.OutOfMemoryError("no memory for it")

    _, graphs = _graphs(full)
    for number in range(1, 4):
        assert _run(graphs, (1, 256), torch.tensor([number])) == [[number, 10 * number]]
    assert caplog.text.count("no memory for it") == 1


def test_a_prompts_first_step_and_one_of_many_tokens_are_not_recorded() -> None:
    _, graphs = _graphs(Recorder())
    assert graphs.sizes(3, 0, 1000) is None
    assert graphs.sizes(5, 100, 1000) is None
    assert graphs.sizes(3, 100, 1000) == (3, 256)
    assert graphs.sizes(4, 999, 1000) == (4, 1000)


@given(st.integers(1, 10_000), st.integers(1, 64))
def test_a_size_is_filled_up_by_half_of_it_at_most(size: int, least: int) -> None:
    found = standard(size, 100_000, least)
    assert size <= found <= max(3 * size // 2, 2 * least)
    assert standard(found, 100_000, least) == found
