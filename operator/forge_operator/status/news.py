"""What is worth an event: each step of a model on its way, and what turned against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class News:
    """For `kubectl describe`. Warning: it is somebody's turn."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


def news(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[News]:
    """What a status says that the one before did not.

    That is reasons of Ready, other conditions that became False, and decisions of the autoscaler.
    """
    known = {each["type"]: each["reason"] for each in before.get("conditions") or []}
    found: dict[str, News] = {}
    for each in after["conditions"]:
        new = known.get(each["type"]) != each["reason"]
        if new and (each["type"] == "Ready" or each["status"] == "False"):
            kind: Literal["Normal", "Warning"] = "Warning" if each["status"] == "False" else "Normal"
            found.setdefault(each["reason"], News(kind, each["reason"], each["message"]))
    return [*found.values(), *_decision(before.get("autoscaling") or {}, after.get("autoscaling") or {})]


def _decision(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[News]:
    told = ("lastDecision", "lastDecisionTime")
    if after.get("lastDecision") is None or all(before.get(key) == after.get(key) for key in told):
        return []
    return [News("Normal", "Scaled", after["lastDecision"])]
