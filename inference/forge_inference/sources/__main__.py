"""python -m forge_inference.sources fetch URI --to DIR: settings, parts, last words."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from forge_inference import last_words
from forge_inference.sources import addresses
from forge_inference.sources.connections import Connections
from forge_inference.sources.contract import Source
from forge_inference.sources.credentials import Credentials
from forge_inference.sources.errors import SourceError
from forge_inference.sources.fetch import Wish, fetch
from forge_inference.sources.progress import amount
from forge_inference.sources.settings import PROGRAM, InvalidSettings, Settings, read
from forge_inference.sources.store import Store
from forge_inference.telemetry import logs

_USAGE = f"usage: {PROGRAM} fetch [URI] --to DIR [...]\n\n{PROGRAM} fetch --help tells the rest.\n"

logger = logging.getLogger("forge_inference.sources")


def main(words: list[str]) -> int:
    """The exit status: 0 when the folder is there, 1 when the source is refused, 2 when a setting is wrong."""
    if words[:1] != ["fetch"]:
        asked = words[:1] in (["--help"], ["-h"])
        (sys.stdout if asked else sys.stderr).write(_USAGE)
        return 0 if asked else 2
    log = last_words.where()
    try:
        settings = read(words[1:])
    except InvalidSettings as error:
        return last_words.say("forge_inference.sources", log, "InvalidSettings", str(error), status=2)
    logs.configure("info", os.environ.get("FORGE_LOG_FORMAT") or "text")
    try:
        with _within(settings.timeout_seconds):
            _run(settings)
    except SourceError as error:
        return last_words.say("forge_inference.sources", log, error.reason, str(error), status=1)
    except OSError as error:  # a volume that is read-only, or not ours to write to
        message = f"{error.filename or settings.to}: {error.strerror}. Is the volume writable for user {os.getuid()}?"
        return last_words.say("forge_inference.sources", log, "SourceUnavailable", message, status=1)
    return 0


def _run(settings: Settings) -> None:
    uri = addresses.parse(settings.uri)
    settings.policy.demand_scheme(uri.scheme)
    settings.to.parent.mkdir(parents=True, exist_ok=True)
    pin = settings.sha256.removeprefix("sha256:")
    wish = Wish(uri, pin, settings.to, settings.max_bytes, settings.offline)
    facts = fetch(wish, _source(uri, settings), Store(settings.store))
    logger.info(
        "%s %s: %s in %.1f s, %s",
        settings.to,
        facts.digest,
        amount(facts.bytes),
        facts.seconds,
        "from the cache" if facts.fromCache else "downloaded",
    )


def _source(uri: addresses.Uri, settings: Settings) -> Source:
    credentials = Credentials(settings.credentials)
    authorities = [path for path in (settings.ca_file, credentials.file("ca.crt")) if path]
    connections = Connections(settings.policy, authorities)
    if uri.scheme == "hf":
        from forge_inference.sources.hub import Hub

        return Hub(uri, settings.revision, connections, credentials)
    if settings.revision:
        raise SourceError(
            "SourceInvalid", f"Only hf:// has revisions. Take {settings.revision} out, or put it into the URI."
        )
    if uri.scheme == "s3":
        from forge_inference.sources.s3 import S3

        return S3(uri, connections, credentials)
    if uri.scheme == "oci":
        from forge_inference.sources.oci import Oci

        return Oci(uri, connections, credentials)
    from forge_inference.sources.https import Https

    return Https(uri, connections, credentials)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """The time limit, wherever the time goes: names, locks, a server that sends a byte a minute."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise SourceError(
            "SourceUnavailable",
            f"Not done within {seconds:.0f} s. What has come is kept, and the next start continues there; if that is"
            " too slow, ask the administrator to raise the limit (--timeout-seconds).",
            passing=False,
        )

    # The first process of a container ignores what it does not handle.
    def asked_to_end(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    # Again each second: a library might have been in the middle of something that swallows exceptions.
    before = signal.signal(signal.SIGALRM, late), signal.signal(signal.SIGTERM, asked_to_end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before[0])
        signal.signal(signal.SIGTERM, before[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
