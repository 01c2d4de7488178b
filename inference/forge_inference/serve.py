"""Two HTTP servers in front of the engine, from start to drained end."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from forge_inference.engine.contract import Exchangeable
from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.lexicon import UnreadableLexicon
from forge_inference.science.genomics import profiles
from forge_inference.science.genomics.profiles import Profile, UnusableProfile
from forge_inference.settings import InvalidSettings, Settings
from forge_inference.telemetry.gpu import Gpus
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web.app import Parts, create_admin_app, create_app
from forge_inference.web.roots import Roots

logger = logging.getLogger(__name__)

_LOOK = 0.2  # seconds between two looks at the engine, which cannot call into the event loop while it loads


class _Server(uvicorn.Server):
    """Leaves signals to us: two servers must end in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, engine: Exchangeable) -> None:
    """Until SIGTERM or SIGINT. Raises the engine's failure, and InvalidSettings for a port that is taken."""
    gpus = Gpus()
    roots = Roots(settings.roots, of_a_resource=bool(settings.checkpoint_uri))
    parts = Parts(
        engine, Metrics(engine, gpus), gpus, roots, _finder(settings), settings.served, profiles=_profiles(settings)
    )
    api = _server(create_app(parts, settings.origins), settings.request_timeout_seconds)
    admin = _server(create_admin_app(parts), 1)
    sockets = [_socket(settings.host, settings.port, "port"), _socket(settings.host, settings.admin_port, "admin_port")]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine.start()
    servers = [asyncio.create_task(s.serve(sockets=[at])) for s, at in zip((api, admin), sockets, strict=True)]
    try:
        await _until(stop, parts)
    finally:
        parts.draining = True
        for server, task in zip((api, admin), servers, strict=True):
            server.should_exit = True  # requests that run are finished first
            await task
        engine.stop()
    if failure := engine.failure():
        raise failure


def _finder(settings: Settings) -> Finder:
    try:
        return Finder(settings.lexicon_files)
    except (UnreadableLexicon, OSError) as error:  # there, and not ours to read
        raise InvalidSettings(f"--lexicons (FORGE_LEXICONS): {error}") from error


def _profiles(settings: Settings) -> tuple[Profile, ...]:
    try:
        return profiles.read(settings.calibration_files)
    except UnusableProfile as error:
        raise InvalidSettings(f"--calibration (FORGE_CALIBRATION): {error}") from error


async def _until(stop: asyncio.Event, parts: Parts) -> None:
    """Return when asked to stop, or when the engine has failed."""
    told = False
    while parts.engine.failure() is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK)
            return
        if not told and parts.engine.loaded():
            told = True
            logger.info("serving %s", parts.engine.name)


def _server(app: FastAPI, seconds: float) -> _Server:
    return _Server(
        uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=int(seconds) + 1
        )
    )


def _socket(host: str, port: int, field: str) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidSettings(
            f"--{field.replace('_', '-')} (FORGE_{field.upper()}): cannot listen on {host}:{port}: {error.strerror}"
        ) from error
