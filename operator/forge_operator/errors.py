"""Errors by consequence: whose turn is it?"""


class OperatorError(Exception):
    """Base of everything the operator raises on purpose."""


class InvalidSpec(OperatorError):
    """The user must change the manifest. Nothing was applied; what runs goes on."""

    reason = "InvalidSpec"


class NameConflict(InvalidSpec):
    """An object that is not ours has the name of a child. The user must rename one of them."""

    reason = "NameConflict"


class SourceDenied(InvalidSpec):
    """The administrator does not allow the source that the spec names. Nothing was applied; what runs goes on."""

    reason = "SourceDenied"


class NotYet(OperatorError):
    """Ours to retry: the cluster is not in the state that we need, and will be."""

    reason = "Waiting"

    def __init__(self, message: str, retry_after: float = 2.0) -> None:
        """`retry_after` is in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class InvalidSettings(OperatorError):
    """The administrator must change the settings file; the message names file and field."""


class ChildDeclined(InvalidSpec):
    """The cluster does not accept a child as the spec asks for it: a quota, a policy. Tried again by and by."""
