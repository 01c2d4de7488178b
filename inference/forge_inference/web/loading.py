"""POST and GET /api/v1/load-model: another checkpoint in place of the one that is served."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from forge_inference.engine.contract import Exchangeable, Offer, Served
from forge_inference.engine.errors import LoadError
from forge_inference.web import errors
from forge_inference.web.provenance import report
from forge_inference.web.roots import Roots


class LoadModel(BaseModel):
    """A checkpoint of the base model that is served."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_path: str = Field(min_length=1, max_length=4096, description="its folder, inside of --model-roots")
    use_quantization: bool | None = Field(
        None, description="whether the base model is quantised in memory; default: as the server was started"
    )


class Which(BaseModel):
    """A model by its name, and the digest of its checkpoint."""

    model: str
    checkpoint: str | None


class Loading(BaseModel):
    """How far the last checkpoint has come that was to be loaded."""

    model_config = ConfigDict(protected_namespaces=())

    state: Literal["idle", "loading", "finishing", "done", "failed"] = Field(
        description="finishing: the new model answers, the one of before finishes what it has begun"
    )
    stage: str | None = Field(default=None, description="what is being done")
    model_path: str | None = None
    use_quantization: bool | None = None
    started: datetime | None = None
    seconds: float | None = Field(default=None, description="until now, or until it was done or had failed")
    before: Which | None = Field(default=None, description="what answered when it began")
    after: Which | None = Field(default=None, description="what has answered since")
    report: dict[str, Any] | None = Field(
        default=None, description="what was found in the checkpoint, and proved of it"
    )
    error: dict[str, Any] | None = Field(default=None, description="why it is not served: type is the reason")


def router(engine: Exchangeable, roots: Roots) -> APIRouter:
    """Both routes."""
    routes = APIRouter(prefix="/api/v1/load-model")

    @routes.post("", status_code=202)
    async def load(body: LoadModel) -> Loading:
        """Load a checkpoint and, once it has passed every check and its first generation, serve it.

        Until then the present model answers, and for good when anything is wrong with the new one. GET tells how far
        it is.
        """
        folder = await asyncio.to_thread(roots.checkpoint, body.model_path)  # disks may be slow
        engine.offer(Offer(folder, body.use_quantization))
        return _told(engine)

    @routes.get("")
    def how_far() -> Loading:  # in a thread of its own: a report may look at files
        """What became of the last checkpoint that was to be loaded."""
        return _told(engine)

    return routes


def _told(engine: Exchangeable) -> Loading:
    offered = engine.offered()
    if offered is None:
        return Loading(state="idle")
    failure, after = offered.failure, offered.after
    reason = failure.reason if isinstance(failure, LoadError) else type(failure).__name__
    return Loading(
        state=offered.state,
        stage=offered.stage or None,
        model_path=str(offered.offer.checkpoint),
        use_quantization=offered.offer.quantize,
        started=offered.started,
        seconds=round(((offered.ended or datetime.now(UTC)) - offered.started).total_seconds(), 1),
        before=_which(offered.before),
        after=_which(after) if after else None,
        report=report(after.loaded, after.name) if after and after.loaded else None,
        error=errors.body(reason, str(failure))["error"] if failure else None,
    )


def _which(served: Served) -> Which:
    return Which(model=served.name, checkpoint=served.loaded.checkpoint.digest if served.loaded else None)
