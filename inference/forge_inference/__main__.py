"""python -m forge_inference: where the parts meet."""

import asyncio
import json
import logging
import os
import sys
from functools import partial
from pathlib import Path

from forge_inference import reload
from forge_inference.engine.contract import Quantization
from forge_inference.engine.errors import EngineError, LoadError
from forge_inference.settings import InvalidSettings, Settings, read
from forge_inference.telemetry import logs

_LONGEST = 4000  # bytes of last words; the kubelet keeps 4,096


def main(words: list[str]) -> int:
    """The exit status: 0 when asked to end, 1 when nothing can be served, 2 when a setting is wrong."""
    try:
        settings = read(words)
    except InvalidSettings as error:
        variable = os.environ.get("FORGE_TERMINATION_LOG")
        return _last_words(Path(variable) if variable else None, "InvalidSettings", str(error), status=2)
    if settings.reload:
        return reload.run(words)
    logs.configure(settings.log_level, settings.log_format)
    log = settings.termination_log
    try:
        _serve(settings)
    except InvalidSettings as error:
        return _last_words(log, "InvalidSettings", str(error), status=2)
    except LoadError as error:
        return _last_words(log, error.reason, str(error), status=1)
    except EngineError as error:
        return _last_words(log, "EngineFailed", str(error), status=1)
    return 0


def _serve(settings: Settings) -> None:
    logging.getLogger("forge_inference").info("starting")
    # torch takes seconds to import: what is wrong with the settings was said before.
    from forge_inference.engine.batching import BatchingEngine
    from forge_inference.engine.loading import Sources
    from forge_inference.engine.workers import Workers
    from forge_inference.serve import serve

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
    make = partial(
        BatchingEngine,
        sources,
        max_model_len=settings.max_model_len,
        max_queue=-(-settings.max_queue // settings.workers),
        max_batch=settings.max_batch,
        request_timeout_seconds=settings.request_timeout_seconds,
    )
    if settings.workers == 1:
        asyncio.run(serve(settings, make()))
        return
    begin = partial(logs.configure, settings.log_level, settings.log_format)
    asyncio.run(serve(settings, Workers(make, sources, settings.workers, settings.max_model_len, begin)))


def _last_words(log: Path | None, reason: str, message: str, *, status: int) -> int:
    """Say why to a person and, where the operator looks, in its words."""
    sys.stderr.write(f"forge_inference: {reason}: {message}\n")
    if log is not None:
        while len(words := json.dumps({"reason": reason, "message": message}).encode()) > _LONGEST:
            message = message[: len(message) * 9 // 10]
        try:
            log.write_bytes(words)
        except OSError as error:
            sys.stderr.write(f"forge_inference: {log} cannot be written: {error.strerror}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
