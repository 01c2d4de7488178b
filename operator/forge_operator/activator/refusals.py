"""What a client reads that gets no answer of a model. The shape is the model server's own, which is OpenAI's."""

import json
from http import HTTPStatus
from typing import Any

from aiohttp import web


class Refused(Exception):
    """The answer is this one; `retry_after` in seconds, where asking again helps."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after: int | None = None


class Asleep(Refused):
    """The model has no pod, and this request is of a kind that wakes none."""

    retry_after = 10


class TooManyHeld(Refused):
    """There is no room for one more that waits."""

    retry_after = 10


class NoPodInTime(Refused):
    """No pod was ready for as long as a request may wait."""

    retry_after = 30


class UnknownModel(Refused):
    """The port belongs to no model, or does not any more."""

    status = HTTPStatus.NOT_FOUND


class InvalidRequest(Refused):
    """The request is not one of HTTP/1.1 to a server."""

    status = HTTPStatus.BAD_REQUEST


class BodyTooLarge(Refused):
    """More than the model server takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class BodyTooSlow(Refused):
    """The body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class PodFailed(Refused):
    """The pod ended before it answered. It may have generated: asking twice is the client's choice, not ours."""

    status = HTTPStatus.BAD_GATEWAY


def answer(refused: Refused) -> web.Response:
    """The refusal as a response."""
    kind = type(refused).__name__
    body = {"error": {"type": kind, "message": str(refused), "param": None, "code": kind}}
    headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
    return spoken(body, refused.status, headers)


def spoken(body: dict[str, Any], status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> web.Response:
    """Words of the activator's own. The connection ends with them: the next one may reach a pod."""
    text = json.dumps(body, ensure_ascii=False)
    response = web.Response(text=text, status=status, headers=headers, content_type="application/json")
    response.force_close()
    return response
