"""python -m forge_inference: where the parts meet."""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from forge_inference import reload
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
    # What is wrong with the settings was said before these are imported, which takes a while.
    from forge_inference.build import exchange
    from forge_inference.serve import serve

    logging.getLogger("forge_inference").info("starting")
    asyncio.run(serve(settings, exchange(settings)))


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
