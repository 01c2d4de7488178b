"""The two apps: the API for people and pipelines, and the admin port for the kubelet, Prometheus and the operator."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi_offline import FastAPIOffline

from forge_inference import __version__
from forge_inference.engine.contract import Exchangeable
from forge_inference.science.concepts.finding import Finder
from forge_inference.science.genomics.profiles import Profile
from forge_inference.tasks import TASKS, Task
from forge_inference.telemetry.gpu import Gpus
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web import (
    adapters,
    calibration,
    chat,
    completions,
    errors,
    generate,
    genomics,
    loading,
    papers,
    tokens,
)
from forge_inference.web.console import router as console_router
from forge_inference.web.middleware import Guard
from forge_inference.web.models import Models
from forge_inference.web.models import router as models_router
from forge_inference.web.provenance import effect, quantization, report
from forge_inference.web.roots import Roots
from forge_inference.web.tasks import refusing


@dataclass
class Parts:
    """What both apps share. `draining` once the process was asked to end."""

    engine: Exchangeable
    metrics: Metrics
    gpus: Gpus
    roots: Roots = field(default_factory=Roots)
    finder: Finder = field(default_factory=Finder)
    tasks: Collection[Task] = TASKS
    profiles: tuple[Profile, ...] = ()
    draining: bool = False

    def not_ready(self) -> str | None:
        """Why no requests should be sent here, None when they should. A full queue is no reason."""
        if self.draining:
            return "the server is stopping"
        if failure := self.engine.failure():
            return str(failure)
        if self.engine.loaded() is None:
            return "the model is being loaded"
        return None if self.engine.alive() else "the engine does not answer"


def create_app(parts: Parts, origins: list[str]) -> FastAPI:
    """The serving port. `/docs` loads nothing from elsewhere."""
    app = FastAPIOffline(
        redoc_url=None,
        static_url="/docs/files",
        title="ScientificLLM-Forge",
        version=__version__,
        description="Answers of a fine-tuned model. For people who would rather look: the [console](console).",
    )
    app.add_middleware(Guard, metrics=parts.metrics, engine=parts.engine)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"])
    errors.install(app)
    models = Models(parts.engine)
    of_tasks: list[tuple[Task, APIRouter]] = [
        ("generate", generate.router(parts.engine, parts.metrics, models)),
        ("genomics", genomics.router(parts.engine, parts.metrics, models, parts.finder, parts.profiles)),
        ("papers", papers.router(parts.engine, parts.metrics, models)),
        ("generate", completions.router(parts.engine, parts.metrics, models)),
        ("generate", chat.router(parts.engine, parts.metrics, models)),
        ("genomics", calibration.router(parts.engine, parts.profiles)),
    ]
    for task, routes in of_tasks:
        app.include_router(routes if task in parts.tasks else refusing(routes, task, parts.tasks))
    app.include_router(tokens.router(parts.engine, models))
    app.include_router(models_router(models))
    app.include_router(loading.router(parts.engine, parts.roots))
    app.include_router(console_router())

    @app.get("/")
    async def what_this_is() -> dict[str, Any]:
        """Name, version, what is served; then /console for people, and /docs for those who write programs."""
        paths = sorted(path for path in app.openapi()["paths"] if "{" not in path and path != "/")
        served = {"model": parts.engine.name, "tasks": list(parts.tasks), "paths": paths}
        return {"name": "ScientificLLM-Forge", "version": __version__, **served}

    @app.get("/api/v1/health")
    async def health() -> dict[str, Any]:
        """How the server is; always 200, the admin port has the probes."""
        loaded, wrong = parts.engine.loaded(), parts.not_ready()
        return {
            "status": "ok" if wrong is None else "unavailable",
            "why": wrong,
            "model": parts.engine.name,
            "version": __version__,
            "checkpoint": loaded.checkpoint.digest if loaded else None,
            "adapter_effect": effect(loaded) if loaded else None,
            "quantization": quantization(loaded) if loaded else None,
            "plan": loaded.plan if loaded else None,
            "steps": loaded.steps if loaded else None,
            "device": loaded.device if loaded else None,
            "load_seconds": round(loaded.load_seconds, 1) if loaded else None,
            **parts.metrics.summary(),
            "gpus": [gpu.as_json() for gpu in parts.gpus.read()] or None,
        }

    @app.get("/api/v1/metrics")
    async def metrics() -> dict[str, Any]:
        """Numbers for people; the admin port's /metrics is for Prometheus."""
        return parts.metrics.detail()

    return app


def create_admin_app(parts: Parts) -> FastAPI:
    """The admin port: docs/architecture.md says what each path promises."""
    app = FastAPI(title="ScientificLLM-Forge admin", docs_url=None, redoc_url=None, openapi_url=None)
    errors.install(app)
    app.include_router(adapters.router(parts.engine))

    def probe(wrong: str | None) -> Response:
        return PlainTextResponse(f"{wrong or 'ok'}\n", 503 if wrong else 200)

    @app.get("/livez")
    async def livez() -> Response:
        return probe(None if parts.engine.alive() else "the engine's thread has ended or hangs")

    @app.get("/startupz")
    async def startupz() -> Response:
        return probe(None if parts.engine.loaded() else "the model is being loaded")

    @app.get("/readyz")
    async def readyz() -> Response:
        return probe(parts.not_ready())

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/report")
    def what_is_loaded() -> Response:  # in a thread of its own: it looks at files, and their disk may be slow
        loaded = parts.engine.loaded()
        if loaded is None:
            return JSONResponse(errors.body("NotReady", "the model is being loaded"), 503)
        return JSONResponse({**report(loaded, parts.engine.name), "idleSeconds": round(parts.metrics.idle(), 1)})

    return app
