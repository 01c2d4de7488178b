"""POST /tokenize and /detokenize, GET /tokenizer_info: what the model reads, as other servers tell it."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from forge_inference.engine import contract
from forge_inference.engine.contract import Engine, Message
from forge_inference.engine.errors import InvalidRequest
from forge_inference.web.models import Models
from forge_inference.web.openai import Turn
from forge_inference.web.schemas import Text

Ids = Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1)]], Field(max_length=1_000_000)]


class Tokenize(BaseModel):
    """A text as it is, or a conversation through the chat template."""

    model: str | None = None
    prompt: Text | None = None
    messages: list[Turn] | None = Field(None, min_length=1, max_length=1024)


class Detokenize(BaseModel):
    """Token ids."""

    model: str | None = None
    tokens: Ids


def router(engine: Engine, models: Models) -> APIRouter:
    """The three routes."""
    routes = APIRouter()

    @routes.post("/tokenize")
    async def tokenize(body: Tokenize) -> dict[str, Any]:
        """Token ids of a prompt, and how many the model takes."""
        models.adapter(body.model)
        if (body.prompt is None) == (body.messages is None):
            raise InvalidRequest("give either prompt or messages")
        prompt: str | tuple[Message, ...] = body.prompt or tuple(turn.message() for turn in body.messages or ())
        found = await engine.tokenize(contract.Request(prompt, None, chat=False))
        return {"count": len(found), "max_model_len": engine.max_model_len, "tokens": found}

    @routes.post("/detokenize")
    async def detokenize(body: Detokenize) -> dict[str, str]:
        """Their text, control tokens included."""
        models.adapter(body.model)
        return {"prompt": engine.text_of(body.tokens)}

    @routes.get("/tokenizer_info")
    async def tokenizer_info() -> dict[str, Any]:
        """The tokenizer's class, its control tokens, and the chat template."""
        return engine.tokenizer_info()

    return routes
