"""What a loaded model answers with: weights, prompts, and the batch."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from forge_inference.checkpoint.preflight import Adapter
from forge_inference.engine import fewer, kernels, packed, proof
from forge_inference.engine.adapters import BASE
from forge_inference.engine.answer import Answer, Ear
from forge_inference.engine.contract import CHECKPOINT, AdapterEffect, Probe, Request
from forge_inference.engine.errors import InvalidRequest, LoadError, UnknownAdapter
from forge_inference.engine.loading import Sources, Weights, load
from forge_inference.engine.prompts import Prompts, closing_tokens
from forge_inference.engine.runner import Batches
from forge_inference.engine.table import BLOCKS

logger = logging.getLogger(__name__)

_PAGE = 32  # tokens of a block of the cache
# Tokens of prompts in one step. They are what everybody else waits for, so they are few where steps are slow.
_STEP = {"cpu": 512, "cuda": 4096}
_CACHE = {"cpu": 2**30, "cuda": 0}  # bytes for keys and values; 0: most of what is free


class Serving:
    """For the engine's thread; `weights`, `prompts` and `rows` may be read by others."""

    def __init__(self, weights: Weights, longest: int, answers: int) -> None:
        """`longest`: tokens of prompt and answer; `answers`: at once. Raises LoadError."""
        self.weights, self._longest = weights, longest
        self.prompts = Prompts(weights.tokenizer)
        self.rows: int = weights.model.get_input_embeddings().num_embeddings
        self._closing = closing_tokens(weights.tokenizer, weights.model.generation_config)
        most = getattr(weights.model.config, "max_position_embeddings", longest)
        if longest > most:
            raise LoadError(
                "InvalidSettings",
                f"spec.serving.maxModelLen is {longest}, but the base model ends at {most} tokens.",
            )
        own = kernels.load(weights.model, _PAGE, BLOCKS + -(-longest // _PAGE))
        if own:
            fewer.use(weights.model, own)
        packed.use(weights.model)
        self.batches = Batches(
            weights.model,
            weights.adapters.slots,
            own,
            tokens=_cache_tokens(weights, longest, answers),
            longest=longest,
            step=_STEP[weights.device.type] + answers,
            answers=answers,
            page=_PAGE,
        )

    @classmethod
    def of(cls, sources: Sources, longest: int, answers: int) -> "Serving":
        """Load. Raises LoadError."""
        return cls(load(sources), longest, answers)

    def answer(self, request: Request, prompt: Sequence[int], slot: int, ear: Ear) -> Answer:
        """An answer that is to be added to the batch."""
        weights = self.weights
        return Answer(
            request,
            prompt,
            slot,
            ear,
            most=self._longest - len(prompt),
            tokenizer=weights.tokenizer,
            closing=self._closing,
            device=weights.device,
        )

    def prove(self, name: str, uri: str) -> tuple[AdapterEffect | None, Probe]:
        """That the adapter, if there is one, has an effect, and the batch computes what the model computes.

        Raises LoadError.
        """
        slot = self.weights.adapters.slot(name)
        effect = proof.effect(self.weights, self.prompts, slot, uri) if slot != BASE else None
        return effect, proof.probe(self.weights, self.prompts, self.batches, slot)

    def add(self, name: str, folder: Path, adapter: Adapter) -> None:
        """One more adapter, which has to have an effect as well. Raises InvalidRequest."""
        adapters = self.weights.adapters
        if name in adapters.names():
            raise InvalidRequest(f"an adapter is loaded by the name {name!r} already; unload it first")
        adapters.add(name, adapter)
        try:
            proof.effect(self.weights, self.prompts, adapters.slot(name), str(folder))
        except LoadError as error:
            adapters.remove(name)
            raise InvalidRequest(str(error)) from error

    def remove(self, name: str) -> None:
        """Raises UnknownAdapter; InvalidRequest for the one that the server was started with."""
        if name == CHECKPOINT:
            raise InvalidRequest("the adapter that the server was started with stays")
        try:
            self.weights.adapters.remove(name)
        except KeyError:
            raise UnknownAdapter(f"no adapter is loaded by the name {name!r}") from None


def out_of_memory(error: Exception) -> bool:
    """Whether this says that memory could not be had. torch has no class of its own for a CPU's."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _cache_tokens(weights: Weights, longest: int, answers: int) -> int:
    """What the cache shall hold: all answers at their longest, or what memory allows, but one answer at least."""
    config = weights.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    each = 2 * config.num_hidden_layers * heads * width * weights.model.dtype.itemsize  # bytes of a token
    room = _CACHE[weights.device.type] or int(torch.cuda.mem_get_info(weights.device)[0] * 0.8)
    # The library keeps a part free for what runs already, and two blocks for itself.
    tokens = max(longest + 4 * _PAGE, min(answers * longest, room // each))
    logger.info("cache for %d tokens, %.0f MiB", tokens, tokens * each / 2**20)
    return tokens
