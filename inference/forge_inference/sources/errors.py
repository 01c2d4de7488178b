"""What can be wrong with a source, by the word that the last words carry."""

from typing import Literal

Reason = Literal[
    "SourceDenied",  # the administrator does not allow it
    "SourceNotFound",
    "SourceUnauthorized",
    "SourceInvalid",  # a bad archive, bad content
    "SourceTooLarge",
    "SourceDigestMismatch",
    "SourceDiskFull",
    "SourceUnavailable",  # network, server, time limit: another start may succeed
]


class SourceError(Exception):
    """The message says what to do, and never holds a secret.

    `passing`: another try, now, may succeed; `retry_after` is the server's wish in seconds.
    """

    def __init__(
        self, reason: Reason, message: str, *, passing: bool | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.passing = reason == "SourceUnavailable" if passing is None else passing
        self.retry_after = retry_after


def passes(status: int) -> bool:
    """Whether an HTTP status is of the moment, so that asking again may help."""
    return status in (408, 425, 429) or status >= 500
