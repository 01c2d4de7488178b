"""The engine that the settings ask for."""

from functools import partial

from forge_inference.checkpoint.inspection import inspect
from forge_inference.engine.contract import Engine, Offer, Quantization
from forge_inference.engine.errors import LoadError
from forge_inference.engine.exchange import Exchange
from forge_inference.engine.workers import Workers
from forge_inference.settings import Settings
from forge_inference.telemetry import logs


def exchange(settings: Settings) -> Exchange:
    """What the server answers with. Raises LoadError."""

    def successor(offer: Offer) -> tuple[str, Workers]:
        changed = settings.instead(offer.checkpoint, offer.quantize)
        _look(changed)
        return changed.name, workers(changed, beside=True)

    return Exchange(settings.name, workers(settings), successor, longest_answer=settings.request_timeout_seconds)


def _look(settings: Settings) -> None:
    """Refuse what cannot be served in a second, before a process loads torch for it. Raises LoadError."""
    problems = inspect(settings.checkpoint, settings.base_model).findings.problems
    if problems:
        raise LoadError(problems[0].reason, str(problems[0]))


def workers(settings: Settings, *, beside: bool = False) -> Workers:
    """Processes with an engine each; `beside` another model, which serves meanwhile. Raises LoadError."""
    return Workers(
        partial(engine, settings),
        settings.workers,
        base_model=settings.base_model,
        max_model_len=settings.max_model_len,
        places=settings.max_batch + _share(settings),
        beside=beside,
    )


def engine(settings: Settings) -> Engine:
    """In each worker's process: torch is imported there and nowhere else."""
    from forge_inference.engine.batching import BatchingEngine
    from forge_inference.engine.loading import Sources

    logs.configure(settings.log_level, settings.log_format)
    sources = Sources(
        checkpoint=settings.checkpoint,
        base_model=settings.base_model,
        checkpoint_uri=settings.checkpoint_uri or str(settings.checkpoint),
        base_model_uri=settings.base_model_uri or str(settings.base_model),
        quantization=Quantization(
            settings.quantization,
            settings.double_quant and settings.quantization == "nf4",
            settings.compute_dtype,
        ),
        plan=None if settings.plan == "auto" else settings.plan,
    )
    return BatchingEngine(
        sources,
        max_model_len=settings.max_model_len,
        max_queue=_share(settings),
        max_batch=settings.max_batch,
        request_timeout_seconds=settings.request_timeout_seconds,
    )


def _share(settings: Settings) -> int:
    """Requests that may wait in one worker."""
    return -(-settings.max_queue // settings.workers)
