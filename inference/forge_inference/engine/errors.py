"""What can go wrong with a request, and with a start. The web room maps these to status codes.

All of them can be pickled: with several workers they cross from process to process.
"""


class EngineError(Exception):
    """Base of everything an engine raises on purpose."""


class NotReady(EngineError):
    """The model is still being loaded, or the server is on its way out."""


class Overloaded(EngineError):
    """The queue is full. `retry_after` is a guess in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


class PromptTooLong(EngineError):
    """Prompt and answer together do not fit."""


class InvalidRequest(EngineError):
    """The request cannot be served as it is."""


class UnknownAdapter(EngineError):
    """No adapter of this name is loaded."""


class DeadlineExceeded(EngineError):
    """The request took longer than the server allows, waiting included."""


class EngineFailed(EngineError):
    """The engine ended with an error; the process is of no use any more."""


class Busy(EngineError):
    """Another checkpoint is being loaded."""


class Forbidden(EngineError):
    """This server is not allowed to do that, whoever asks."""


class CheckpointNotFound(EngineError):
    """There is no such folder."""


class LoadError(EngineError):
    """Nothing can be served. `reason` is a word of docs/architecture.md, "Last words"."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[1])
