"""POST /v1/load_lora_adapter and /v1/unload_lora_adapter, on the admin port, as other control planes speak them."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, StringConstraints

from forge_inference.engine.contract import Engine

Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class Load(BaseModel):
    """An adapter in a folder that this server can read."""

    lora_name: Name
    lora_path: str


class Unload(BaseModel):
    """One that was loaded so."""

    lora_name: Name


def router(engine: Engine) -> APIRouter:
    """Both routes."""
    routes = APIRouter()

    @routes.post("/v1/load_lora_adapter")
    async def load(body: Load) -> PlainTextResponse:
        """Serve it from now on, under its name. Checked like the one that the server was started with."""
        await engine.load_adapter(body.lora_name, Path(body.lora_path))
        return PlainTextResponse(f"LoRA adapter {body.lora_name!r} is loaded.\n")

    @routes.post("/v1/unload_lora_adapter")
    async def unload(body: Unload) -> PlainTextResponse:
        """Serve it no more; answers that have begun are finished."""
        await engine.unload_adapter(body.lora_name)
        return PlainTextResponse(f"LoRA adapter {body.lora_name!r} is unloaded.\n")

    return routes
