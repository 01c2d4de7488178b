"""Which model a request means: the served adapter, another one that was loaded, or the base model alone."""

import time
from typing import Any

from fastapi import APIRouter

from forge_inference.engine.contract import CHECKPOINT, Exchangeable
from forge_inference.engine.errors import UnknownAdapter

BASE = "base"  # the name of the base model, unless an adapter has it


class Models:
    """The names that requests may use."""

    def __init__(self, engine: Exchangeable) -> None:
        self._engine = engine
        self._since = int(time.time())

    @property
    def name(self) -> str:
        """Of the served adapter, when no request asks for another one."""
        return self._engine.name

    def adapter(self, model: str | None) -> str | None:
        """What the engine calls it; no name is the served model. Raises UnknownAdapter, which lists the names."""
        if model is None or model == self.name:
            return CHECKPOINT
        if model and model in self._engine.adapters():
            return model
        if model == BASE and BASE in self._names():
            return None
        raise UnknownAdapter(f"there is no model {model!r}; there are {', '.join(self._names())}")

    def _names(self) -> list[str]:
        known = self._engine.adapters()
        others = [name for name in known if name != CHECKPOINT]
        whole = CHECKPOINT in known and known[CHECKPOINT].kind == "model"  # which stands on no other one
        return list(dict.fromkeys((self.name, *others, *([] if whole else [BASE]))))

    def listed(self) -> list[dict[str, Any]]:
        """In the shape of OpenAI's list; `root` is the checkpoint's digest, `parent` the model it was trained on."""
        known = self._engine.adapters()
        return [self._one(name, known.get(CHECKPOINT if name == self.name else name)) for name in self._names()]

    def _one(self, name: str, checkpoint: Any) -> dict[str, Any]:
        one = {"id": name, "object": "model", "created": self._since, "owned_by": "scientificllm-forge"}
        served = self._engine.loaded()
        longest = {"max_model_len": self._engine.max_model_len}
        if checkpoint is not None:
            return {**one, "root": checkpoint.digest, "parent": checkpoint.base_model, **longest}
        root = served.checkpoint.base_model if served and name != self.name else None
        return {**one, "root": root, "parent": None, **longest}


def router(models: Models) -> APIRouter:
    """What is served, in the shape of OpenAI's list."""
    routes = APIRouter(prefix="/v1/models")

    @routes.get("")
    async def every_model() -> dict[str, Any]:
        """The served model, adapters that were loaded, and the base model."""
        return {"object": "list", "data": models.listed()}

    @routes.get("/{model:path}")
    async def one_model(model: str) -> dict[str, Any]:
        """One of them."""
        models.adapter(model)
        return next(each for each in models.listed() if each["id"] == model)

    return routes
