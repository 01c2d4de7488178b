"""Before an engine calls itself ready: the adapter changes answers, and the batch answers as the plain model does."""

import logging
import math
import time
from collections.abc import Callable

import torch

from forge_inference.checkpoint.effect import max_abs_logit_delta
from forge_inference.engine.adapters import BASE
from forge_inference.engine.answer import Answer, Ear
from forge_inference.engine.contract import AdapterEffect, Chunk, Probe, Request
from forge_inference.engine.errors import EngineError, LoadError
from forge_inference.engine.loading import Weights
from forge_inference.engine.prompts import Prompts
from forge_inference.engine.runner import Batches

logger = logging.getLogger(__name__)

_TEXTS = ("What is a gene?", "The function of the protein is", "def main():")
_TOKENS = 8
# Between a batch and the plain model, in nats. In bfloat16 the order of additions moves log-probabilities by up to
# about 0.1; a cache or an adapter that is mixed up moves them by more than 1.
_LARGEST_DIFFERENCE = 0.5


def effect(weights: Weights, prompts: Prompts, slot: int, uri: str) -> AdapterEffect:
    """Raises LoadError when the adapter in this slot changes nothing, or makes no numbers."""
    texts = [prompts.encode(text, chat=False) for text in _TEXTS]
    delta = max_abs_logit_delta(forward(weights, slot), forward(weights, BASE), texts)
    if math.isnan(delta):
        raise LoadError("ProbeFailed", "The logits are not numbers; try another spec.quantization.computeDtype.")
    if delta == 0:
        raise LoadError(
            "AdapterIneffective",
            f"Checkpoint {uri}: the adapter changes no logit of the base model; check that training saved trained "
            "weights.",
        )
    logger.info("the adapter moves next-token logits by up to %.3g", delta)
    return AdapterEffect(delta)


def forward(weights: Weights, slot: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Token ids of the shape (1, tokens) to logits, without a cache, through the adapter in this slot."""

    @torch.inference_mode()
    def logits(ids: torch.Tensor) -> torch.Tensor:
        ids = ids.to(weights.device)
        wanted = None if slot == BASE else torch.full((ids.shape[1],), slot, device=weights.device)
        with weights.adapters.slots.chosen(wanted, wanted):
            found: torch.Tensor = weights.model(input_ids=ids, use_cache=False).logits
        return found

    return logits


def probe(weights: Weights, prompts: Prompts, batches: Batches, slot: int) -> Probe:
    """The first generation. Raises LoadError when it fails or is not what the plain model would have said."""
    start = time.monotonic()
    heard: list[Chunk | EngineError] = []
    request = Request(_TEXTS[0], _TOKENS)
    prompt = prompts.encode(_TEXTS[0], chat=True)
    # No token ends it: however early the model would end its turn, the probe has its full length.
    answer = Answer(
        request,
        prompt,
        slot,
        Ear(heard.append, lambda: None),
        most=_TOKENS,
        tokenizer=weights.tokenizer,
        closing=frozenset(),
        device=weights.device,
    )
    batches.add(answer)
    while batches.step():
        pass
    chunks = [chunk for chunk in heard if isinstance(chunk, Chunk)]
    if len(chunks) < _TOKENS:
        why = next((str(chunk) for chunk in heard if isinstance(chunk, EngineError)), "it did not end")
        raise LoadError("ProbeFailed", f"The first generation through the adapter failed: {why}.")
    milliseconds = round((time.monotonic() - start) * 1000)
    tokens = [chunk.token for chunk in chunks]
    logits = forward(weights, slot)(torch.tensor([[*prompt, *tokens]]))[0, len(prompt) - 1 : -1].float()
    plain = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    difference = max(abs(chunk.logprob - expected) for chunk, expected in zip(chunks, plain.tolist(), strict=True))
    if not difference < _LARGEST_DIFFERENCE:
        raise LoadError(
            "ProbeFailed",
            f"The batching engine does not compute what the model computes alone: log-probabilities differ by "
            f"{difference:.2g}. Please report the model's architecture and the accelerator.",
        )
    logger.info(
        "probe: %d tokens in %d ms, log-probabilities within %.2g of the plain model's",
        len(tokens),
        milliseconds,
        difference,
    )
    return Probe(len(tokens), milliseconds)
