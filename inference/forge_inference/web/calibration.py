"""What answers, by the digests that a calibration profile is bound to; and GET /api/v1/calibration."""

import hashlib
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from forge_inference.engine.contract import CHECKPOINT, Engine
from forge_inference.engine.errors import NotReady
from forge_inference.science.genomics.profiles import Content, Profile, told
from forge_inference.science.genomics.questions import template_digest
from forge_inference.web.provenance import quantization


class Mounted(BaseModel):
    """A profile that the server was started with."""

    profile: str
    sha256: str
    applies: bool = Field(description="to closed questions of these forms and types that the served model is asked")
    mismatch: list[str] = Field(description="in what the served model is another one than the profile is for")
    content: Content


class Calibration(BaseModel):
    """What is known of the served model's confidence."""

    calibrated: bool = Field(description="whether a profile applies to the served model")
    profiles: list[Mounted]


def router(engine: Engine, profiles: tuple[Profile, ...]) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.get("/api/v1/calibration")
    async def calibration() -> Calibration:
        """The profiles with what was measured, and whether each is for the model that is served."""
        if engine.loaded() is None:
            raise NotReady("the model is being loaded")
        served = told(answering(engine, CHECKPOINT))
        mounted = [_mounted(profile, profile.mismatches(served)) for profile in profiles]
        return Calibration(calibrated=any(each.applies for each in mounted), profiles=mounted)

    return routes


def _mounted(profile: Profile, mismatch: list[str]) -> Mounted:
    mismatch = mismatch + profile.weaknesses
    return Mounted(
        profile=profile.name,
        sha256=profile.sha256,
        applies=not mismatch,
        mismatch=mismatch,
        content=profile.content,
    )


def answering(engine: Engine, adapter: str | None) -> dict[str, Any]:
    """By digests; of the adapter null where the base model answers alone."""
    loaded = engine.loaded()
    checkpoint = engine.adapters().get(adapter) if adapter is not None else None
    template = engine.tokenizer_info().get("chat_template")
    return {
        "adapter_digest": checkpoint.digest if checkpoint else None,
        "base_model_digest": loaded.base_digest if loaded else None,
        "quantization": quantization(loaded) if loaded else None,
        "prompt": {
            "template": "chat" if template else "plain",
            "chat_template_sha256": _sha(str(template)) if template else None,
            "wording_sha256": template_digest(),
        },
    }


def _sha(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
