"""python -m forge_inference: where the parts meet."""

import asyncio
import logging
import sys

from forge_inference import last_words, reload
from forge_inference.engine.errors import EngineError, LoadError
from forge_inference.settings import InvalidSettings, Settings, read
from forge_inference.telemetry import logs

_PROGRAM = "forge_inference"


def main(words: list[str]) -> int:
    """The exit status: 0 when asked to end, 1 when nothing can be served, 2 when a setting is wrong."""
    try:
        settings = read(words)
    except InvalidSettings as error:
        return last_words.say(_PROGRAM, last_words.where(), "InvalidSettings", str(error), status=2)
    if settings.reload:
        return reload.run(words)
    logs.configure(settings.log_level, settings.log_format)
    log = settings.termination_log
    try:
        _serve(settings)
    except InvalidSettings as error:
        return last_words.say(_PROGRAM, log, "InvalidSettings", str(error), status=2)
    except LoadError as error:
        return last_words.say(_PROGRAM, log, error.reason, str(error), status=1)
    except EngineError as error:
        return last_words.say(_PROGRAM, log, "EngineFailed", str(error), status=1)
    return 0


def _serve(settings: Settings) -> None:
    # What is wrong with the settings was said before these are imported, which takes a while.
    from forge_inference.build import exchange
    from forge_inference.serve import serve

    logging.getLogger("forge_inference").info("starting")
    asyncio.run(serve(settings, exchange(settings)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
