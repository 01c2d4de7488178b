"""What is told of a checkpoint: in the report to the operator, and with each answer."""

from dataclasses import replace

from forge_inference.checkpoint.fetched import read
from forge_inference.checkpoint.preflight import Adapter
from forge_inference.engine.contract import Checkpoint, Quantization
from forge_inference.engine.loading import Sources


def fetched(checkpoint: Checkpoint, sources: Sources) -> Checkpoint:
    """With its version, if its files were fetched."""
    note = read(sources.checkpoint, sources.checkpoint_uri)
    return replace(checkpoint, revision=note.revision, content_digest=note.digest) if note else checkpoint


def described(adapter: Adapter, quantization: Quantization) -> Checkpoint:
    """What of a checkpoint is told to others."""
    return Checkpoint(
        digest=adapter.digest,
        base_model=adapter.base_model,
        rank=adapter.rank,
        alpha=adapter.alpha,
        target_modules=adapter.target_modules,
        kind=adapter.choice.kind,
        folder=adapter.choice.name,
        trainer=adapter.facts.trainer,
        step=adapter.facts.step,
        evaluation_loss=adapter.facts.evaluation_loss,
        quantization_match=adapter.facts.matches(quantization.method),
        watched=adapter.watched,
    )
