"""What a process of this image says when it cannot go on: to a person, and where the operator looks, in its words."""

import json
import os
import sys
from pathlib import Path

_LONGEST = 4000  # bytes; the kubelet keeps 4,096


def where() -> Path | None:
    """FORGE_TERMINATION_LOG, read without settings: they may be what is wrong."""
    variable = os.environ.get("FORGE_TERMINATION_LOG")
    return Path(variable) if variable else None


def say(program: str, log: Path | None, reason: str, message: str, *, status: int) -> int:
    """Write `reason` and `message` to standard error and, as JSON, to `log`; give back the exit status."""
    sys.stderr.write(f"{program}: {reason}: {message}\n")
    if log is not None:
        while len(words := json.dumps({"reason": reason, "message": message}).encode()) > _LONGEST:
            message = message[: len(message) * 9 // 10]
        try:
            log.write_bytes(words)
        except OSError as error:
            sys.stderr.write(f"{program}: {log} cannot be written: {error.strerror}\n")
    return status
