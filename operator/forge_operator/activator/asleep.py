"""What is said for a model without a pod, to requests that wake none: only a POST is work."""

import time

from aiohttp import web

from forge_operator.activator.incoming import Incoming
from forge_operator.activator.refusals import Asleep, answer, spoken
from forge_operator.activator.table import Target

_SINCE = int(time.time())
_WHY = "The model has no ready pod. A POST wakes it and waits for its answer."


def standing_in(asked: Incoming, target: Target) -> web.Response:
    """Health and the list of models in the model server's own shape; for the rest the client shall ask later.

    What watches health, or lists models before anybody has typed a word, shall neither wake a model nor see an error.
    """
    path = asked.path.partition("?")[0]
    if asked.method == "GET" and path == "/api/v1/health":
        return spoken({"status": "asleep", "why": _WHY, "model": target.model})
    if asked.method == "GET" and path == "/v1/models":
        one = {"id": target.model, "object": "model", "created": _SINCE, "owned_by": "scientificllm-forge"}
        return spoken({"object": "list", "data": [one]})
    return answer(Asleep(_WHY))
