"""Where answers come from, as it stands in answers, health and the report to the operator."""

from typing import Any

from forge_inference import __version__
from forge_inference.engine.contract import Engine, Loaded
from forge_inference.web.schemas import Generate

RESEARCH_ONLY = {"x-intended-use": "research-use-only"}  # headers of answers about science


def quantization(loaded: Loaded) -> dict[str, Any]:
    found = loaded.quantization
    return {"method": found.method, "doubleQuant": found.double_quant, "computeDtype": found.compute_dtype}


def effect(loaded: Loaded) -> dict[str, Any] | None:
    """None for a whole model: there is no adapter whose effect could be measured."""
    if loaded.effect is None:
        return None
    return {"effective": loaded.effect.effective, "maxAbsLogitDelta": loaded.effect.max_abs_logit_delta}


def provenance(engine: Engine, body: Generate) -> dict[str, Any]:
    """What an answer needs to be made again."""
    sampling = body.model_dump(exclude={"text", "model", "stop", "stream", "logprobs", "max_length", "max_new_tokens"})
    return {**served(engine), "sampling": {**sampling, "max_new_tokens": body.new_tokens}}


def served(engine: Engine) -> dict[str, Any]:
    """What answers, whatever it is asked."""
    loaded = engine.loaded()
    return {
        "server": __version__,
        "checkpoint": loaded.checkpoint.digest if loaded else None,
        "base_model": loaded.checkpoint.base_model if loaded else None,
        "folder": loaded.checkpoint.folder if loaded else None,
        "trainer": loaded.checkpoint.trainer if loaded else None,
        "training_step": loaded.checkpoint.step if loaded else None,
        "quantization_match": loaded.checkpoint.quantization_match if loaded else None,
        "quantization": quantization(loaded) if loaded else None,
        "plan": loaded.plan if loaded else None,
        "adapter_effect": effect(loaded) if loaded else None,
    }


def determinism(temperature: float, seed: int | None, *, written: bool) -> dict[str, Any]:
    """Whether the same request to the same server is answered to the letter the same, and if not, why."""
    why = None
    if written and temperature > 0 and seed is None:
        why = "tokens were drawn at random, and no seed was given"
    elif written:
        why = (
            "requests that share a batch change the last digits of each other's sums, which can decide between two "
            "tokens that are as likely; asked alone, this server repeats itself"
        )
    return {"deterministic": why is None, "not_deterministic_because": why}


def report(loaded: Loaded, model: str) -> dict[str, Any]:
    """What the operator reads; docs/architecture.md has the shape. Looks at the checkpoint's files again."""
    found = loaded.checkpoint
    return {
        "model": model,
        "version": __version__,
        "checkpoint": {
            "digest": found.digest,
            "baseModel": found.base_model,
            "rank": found.rank,
            "alpha": found.alpha,
            "targetModules": list(found.target_modules),
            "kind": found.kind,
            "folder": found.folder,
            "trainer": found.trainer,
            "trainingStep": found.step,
            "evaluationLoss": found.evaluation_loss,
            "quantizationMatch": found.quantization_match,
            "changedOnDisk": found.watched is not None and found.watched.changed(),
            "revision": found.revision,
            "contentDigest": found.content_digest,
        },
        "quantization": quantization(loaded),
        "adapterEffect": effect(loaded),
        # The engine is loaded only after its probe answered.
        "probe": {"succeeded": True, "tokens": loaded.probe.tokens, "milliseconds": loaded.probe.milliseconds},
    }
