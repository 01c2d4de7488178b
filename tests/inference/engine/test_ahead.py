"""Steps that are begun before the tokens of the last one are known: who enters or leaves finds no difference."""

from collections.abc import Callable
from pathlib import Path

import pytest

from forge_inference.checkpoint import preflight
from forge_inference.engine.answer import Answer, Ear
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import CHECKPOINT, Chunk, Request, Sampling
from forge_inference.engine.errors import EngineError
from forge_inference.engine.runner import Batches
from forge_inference.engine.serving import Serving
from tests.inference.engine.by_hand import ByHand, Recorder, batches_of
from tests.inference.engine.conftest import QUIET
from tests.inference.engine.tiny import adapter_tensors, an_adapter

pytestmark = [pytest.mark.model, QUIET]


class Crowd:
    """Answers of one batch, and the steps that were sent to the device and those that it went on with by itself."""

    def __init__(self, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
        self._serving = serving
        self.batches = batches_of(serving, Recorder(), ByHand())
        self.sent = self.advanced = 0
        table = self.batches._processor.inputs_and_outputs.table
        send, advance = table.send, table.advance
        monkeypatch.setattr(table, "send", lambda *sizes: (self._count(sent=1), send(*sizes)))
        monkeypatch.setattr(table, "advance", lambda found: (self._count(advanced=1), advance(found)))

    def _count(self, sent: int = 0, advanced: int = 0) -> None:
        self.sent, self.advanced = self.sent + sent, self.advanced + advanced

    def ask(self, request: Request) -> tuple[Answer, list[Chunk | EngineError]]:
        return _asked(self._serving, self.batches, request)


def _asked(serving: Serving, batches: Batches, request: Request) -> tuple[Answer, list[Chunk | EngineError]]:
    heard: list[Chunk | EngineError] = []
    slot = serving.weights.adapters.slot(request.adapter)
    prompt = serving.prompts.encode(str(request.prompt), chat=True)
    batches.add(answer := serving.answer(request, prompt, slot, Ear(heard.append, lambda: None)))
    return answer, heard


def _alone(serving: Serving, request: Request) -> list[int]:
    """As the batch computes it one step after another."""
    batches = batches_of(serving, None, None)
    _, heard = _asked(serving, batches, request)
    while batches.step():
        pass
    return _tokens(heard)


def _tokens(heard: list[Chunk | EngineError]) -> list[int]:
    return [chunk.token for chunk in heard if isinstance(chunk, Chunk)]


def _request(prompt: str, new: int, sampling: Sampling | None = None, adapter: str | None = CHECKPOINT) -> Request:
    return Request(prompt, new, sampling=sampling or Sampling(temperature=0), adapter=adapter, ignore_eos=True)


@pytest.fixture
def serving(make: Callable[..., BatchingEngine]) -> Serving:
    found = make(batch=6)._serving
    assert found is not None
    return found


def test_a_device_goes_on_by_itself_and_is_told_of_blocks_once_in_a_while(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd, request = Crowd(serving, monkeypatch), _request("the gene", 100)
    _, heard = crowd.ask(request)
    while crowd.batches.step():
        pass
    assert _tokens(heard) == _alone(serving, request)
    assert crowd.sent + crowd.advanced == 99, "the first token is of the prompt, and no step is computed twice"
    assert crowd.sent <= 5, "a table lasts for some thirty tokens"
    assert crowd.batches.used() == 0


def test_who_enters_and_who_leaves_finds_the_answers_of_before(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(serving, monkeypatch)
    first = [_request("the gene", 60), _request("a protein that binds", 20, adapter=None)]
    late, gone = _request("x", 30), _request("what binds the other protein?", 60)
    heard = [crowd.ask(each)[1] for each in first]
    leaving, told = crowd.ask(gone)
    for _ in range(12):
        crowd.batches.step()
    before = crowd.advanced
    assert before > 5
    heard.append(crowd.ask(late)[1])
    for _ in range(6):
        crowd.batches.step()
    assert len(heard[-1]) >= 3, "nobody waits for more than a step"
    crowd.batches.drop(leaving)
    while crowd.batches.step():
        pass
    assert crowd.advanced > before
    assert [_tokens(each) for each in heard] == [_alone(serving, each) for each in (*first, late)]
    assert _tokens(told) == _alone(serving, gone)[: len(told)]
    assert 10 <= len(told) < 60
    assert crowd.batches.used() == 0


def test_an_answer_that_is_not_the_likeliest_is_waited_for(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(serving, monkeypatch)
    plain, hot = _request("the gene", 20), _request("a protein", 12, Sampling(temperature=1.0, seed=3))
    heard = [crowd.ask(each)[1] for each in (plain, hot)]
    while len(heard[1]) < 12:
        crowd.batches.step()
    assert crowd.advanced == 0
    while crowd.batches.step():
        pass
    assert crowd.advanced > 0, "when it has ended the others need not be known"
    assert [_tokens(each) for each in heard] == [_alone(serving, each) for each in (plain, hot)]


def test_a_step_that_was_begun_with_other_adapters_is_computed_again(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crowd, request = Crowd(serving, monkeypatch), _request("the gene", 40)
    expected = _alone(serving, request)
    _, heard = crowd.ask(request)
    for _ in range(10):
        crowd.batches.step()
    assert crowd.advanced > 5
    folder = an_adapter(tmp_path / "other", adapter_tensors(scale=0.6))
    serving.add("other", folder, preflight.check(folder, str(folder), serving.weights.base))
    sent = crowd.sent
    crowd.batches.step()
    assert crowd.sent == sent + 1
    _, beside = crowd.ask(_request("x", 20, adapter="other"))
    while crowd.batches.step():
        pass
    assert _tokens(heard) == expected
    assert _tokens(beside) == _alone(serving, _request("x", 20, adapter="other"))
