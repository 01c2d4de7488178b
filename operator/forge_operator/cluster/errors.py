"""What the API server's refusals mean to us."""

import json
from typing import Any

from forge_operator.errors import OperatorError


class ClusterError(OperatorError):
    """The API server did not do what was asked. `code` is its HTTP status, 0 when none came."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class Missing(ClusterError):
    """404: there is no such object, or no such namespace."""


class Conflict(ClusterError):
    """409: the object is not what we took it for; look again."""


class Forbidden(ClusterError):
    """403 by RBAC. The message names verb and resource; the administrator must grant them."""


class Declined(ClusterError):
    """The object was understood and declined: by a quota, an admission rule or validation."""


class Terminating(ClusterError):
    """The namespace is being deleted: nothing new may be created in it."""


class Unavailable(ClusterError):
    """No answer, or one that says: later."""


def from_answer(code: int, text: bytes, did: str) -> ClusterError:
    """The error for an answer of the API server; `did` says what was tried, e.g. `patch services lab/hbb`."""
    status = _parsed(text)
    said = str(status.get("message") or text[:500].decode(errors="replace"))
    message = f"{did}: {said}"
    causes = status.get("details", {}).get("causes") or []
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return Terminating(message, code)
    if code == 403 and " cannot " in said and "User " in said:
        return Forbidden(f"{message}. Grant it to this ServiceAccount; the chart's roles do.", code)
    if code == 401:
        return Unavailable(f"{message}. These credentials are not accepted.", code)
    kinds: dict[int, type[ClusterError]] = {400: Declined, 403: Declined, 404: Missing, 409: Conflict, 422: Declined}
    return kinds.get(code, Unavailable)(message, code)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        status = json.loads(text)
    except ValueError:  # a proxy in between may answer in its own words
        return {}
    return status if isinstance(status, dict) else {}
