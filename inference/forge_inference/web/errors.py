"""The one table from what went wrong to a status code, and the one shape of errors."""

import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from forge_inference.engine.errors import (
    Busy,
    CheckpointNotFound,
    DeadlineExceeded,
    EngineError,
    EngineFailed,
    Forbidden,
    InvalidRequest,
    NotReady,
    Overloaded,
    PromptTooLong,
    UnknownAdapter,
)


class UnreadablePaper(InvalidRequest):
    """What was sent as `param` is no paper that can be read; `code` is a word that programs can rely on."""

    def __init__(self, param: str, code: str, why: str) -> None:
        super().__init__(f"{param}: {why}")
        self.param, self.code = param, code


STATUS: dict[type[EngineError], int] = {
    InvalidRequest: 422,
    UnreadablePaper: 422,
    PromptTooLong: 422,
    Forbidden: 403,
    UnknownAdapter: 404,
    CheckpointNotFound: 404,
    Busy: 409,
    Overloaded: 429,
    NotReady: 503,
    EngineFailed: 503,
    DeadlineExceeded: 504,
}
LOADING_SECONDS = 5  # what a client should wait before it asks a server again that is loading


def status_of(error: EngineError) -> int:
    """The status code of an engine's error."""
    return STATUS.get(type(error), 500)


def body(kind: str, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The shape of every error, which is OpenAI's; `param` is the field that it is about."""
    return {"error": {"type": kind, "message": message, "param": param, "code": code or kind}}


def told(error: EngineError) -> dict[str, Any]:
    """An engine's error in this shape."""
    if isinstance(error, UnreadablePaper):
        return body("InvalidRequest", str(error), error.param, error.code)
    return body(type(error).__name__, str(error))


def answer(error: EngineError, path: str = "") -> JSONResponse:
    """An engine's error as a response, with Retry-After where waiting helps."""
    headers = {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    elif isinstance(error, NotReady | Busy):
        headers["Retry-After"] = str(LOADING_SECONDS)
    return JSONResponse(told(error), _status(status_of(error), path), headers)


def _status(status: int, path: str) -> int:
    """OpenAI's clients take 400 for what FastAPI's world calls 422."""
    return 400 if status == 422 and not path.startswith("/api/") else status


def _is_name(part: object) -> bool:
    """Whether it is of the request's body, and not pydantic's name for a branch of a union."""
    return part != "body" and not any(mark in str(part) for mark in "[-(")


def install(app: FastAPI) -> None:
    """Give every error of an app the one shape."""

    async def engine(request: Request, error: Exception) -> Response:
        assert isinstance(error, EngineError)  # noqa: S101 - what it is registered for
        return answer(error, request.url.path)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
        faults = error.errors()
        fields = [".".join(str(part) for part in fault["loc"] if _is_name(part)) for fault in faults]
        message = "; ".join(f"{field or 'body'}: {fault['msg']}" for field, fault in zip(fields, faults, strict=True))
        return JSONResponse(body("InvalidRequest", message[:2000], fields[0] or None), _status(422, request.url.path))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
        names = {404: "NotFound", 405: "MethodNotAllowed"}
        said = {404: "There is no such path; GET / lists what there is.", 405: "The path does not take this method."}
        message = said.get(error.status_code, str(error.detail))
        kind = names.get(error.status_code, "InvalidRequest")
        return JSONResponse(body(kind, message), error.status_code, error.headers)

    app.add_exception_handler(EngineError, engine)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
