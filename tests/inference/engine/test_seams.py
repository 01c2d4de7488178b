"""The private parts of transformers that the engine leans on, one by one: an upgrade that moves one fails here."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from forge_inference.engine.answer import Ear
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import CHECKPOINT, Chunk, Request
from forge_inference.engine.errors import EngineError
from forge_inference.engine.runner import Batches
from forge_inference.engine.spans import Sequences
from tests.inference.engine.by_hand import ByHand
from tests.inference.engine.conftest import PLAIN, QUIET

pytestmark = [pytest.mark.model, QUIET]


@pytest.mark.parametrize(
    ("queries", "keys"),
    [
        (
            [1, 5, 0, 3, 1],
            [4, 5, 0, 9, 1],
        ),  # a token after others, a whole prompt, nothing, a part of one, a first token
        ([1, 1, 3, 1, 5], [7, 9, 5, 8, 5]),  # answers first, then prompts, and an answer behind them
        ([1, 1, 0, 1], [7, 9, 0, 8]),  # one token of each, filled up to the longest
        ([1, 1, 1], [1, 90, 2]),  # one that is far longer than the others
    ],
)
@pytest.mark.parametrize("window", [None, 4])
def test_packed_attention_is_that_of_each_sequence_alone(
    queries: list[int], keys: list[int], window: int | None
) -> None:
    torch.manual_seed(0)
    if window:  # what left the window before a step is not in the cache
        keys = [min(length, window - 1 + count) if count else 0 for count, length in zip(queries, keys, strict=True)]
    q, k, v = (torch.randn(sum(lengths), heads, 16) for lengths, heads in ((queries, 4), (keys, 2), (keys, 2)))
    begins, ends = ([0, *torch.tensor(lengths).cumsum(0).tolist()] for lengths in (queries, keys))
    # Those of this step are each sequence's last.
    made = torch.cat([torch.arange(end - count, end) for count, end in zip(queries, ends[1:], strict=True)])
    places = torch.randperm(100)[: len(k)]  # in the cache
    stored = [torch.full((100, 2, 16), float("nan")).index_copy(0, places, of) for of in (k, v)]
    found = Sequences(begins, ends, places, window, q.dtype).attend(q, (k[made], v[made]), stored, 0.3)
    expected, at, of = [], 0, 0
    for count, length in zip(queries, keys, strict=True):
        for row in range(count):
            own = length - count + row
            seen = slice(of + max(0, own - (window or length) + 1), of + own + 1)
            scores = torch.einsum("hd,lhd->hl", q[at + row], k[seen].repeat_interleave(2, 1)) * 0.3
            expected.append(torch.einsum("hl,lhd->hd", scores.softmax(-1), v[seen].repeat_interleave(2, 1)))
        at, of = at + count, of + length
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.fixture(scope="module")
def batches(engines: Callable[..., BatchingEngine]) -> Batches:
    serving = engines(PLAIN)._serving
    assert serving is not None
    return serving.batches


def test_the_library_has_the_parts_that_are_replaced(batches: Batches) -> None:
    processor = batches._processor
    assert type(processor.model_runner).__name__ == "_Runner"
    assert processor.model_runner._model_supports_logits_to_keep
    assert processor.inputs_and_outputs.attention_mask is None  # or the work would grow with the square of the batch
    assert not processor.use_async_batching
    assert not processor.cache.use_prefix_sharing


@pytest.mark.parametrize("kernels", [None, ByHand()], ids=["packed", "table"])
def test_an_answer_that_lost_its_place_goes_on_where_it_was(make: Callable[..., Any], kernels: ByHand | None) -> None:
    """The cache is too small for all, so the library starts some again."""
    engine = make(batch=6, longest=200)
    serving = engine._serving
    assert serving is not None
    small = Batches(
        serving.weights.model,
        serving.weights.adapters.slots,
        kernels,
        tokens=260,
        longest=200,
        step=64,
        answers=6,
        page=4,
    )
    restarted = []
    original = type(small._processor.offloading_manager).offload_requests

    def offload(manager: Any) -> Any:
        restarted.append(1)
        return original(manager)

    small._processor.offloading_manager.offload_requests = offload.__get__(small._processor.offloading_manager)
    requests = [Request(f"the gene {number}", 60) for number in range(6)]
    alone, together = [], []
    for crowd, heard in ((requests[:1], alone), (requests, together)):
        ears: list[list[Chunk | EngineError]] = [[] for _ in crowd]
        for request, ear in zip(crowd, ears, strict=True):
            prompt = serving.prompts.encode(str(request.prompt), chat=True)
            slot = serving.weights.adapters.slot(CHECKPOINT)
            small.add(serving.answer(request, prompt, slot, Ear(ear.append, lambda: None)))
        while small.step():
            pass
        heard.extend([[chunk.token for chunk in ear if isinstance(chunk, Chunk)] for ear in ears])
    assert restarted
    assert together[0] == alone[0]
    assert small.used() == 0
