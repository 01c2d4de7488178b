"""What our containers share, whatever they run."""

from typing import Any

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.settings import Profile


def restricted() -> Manifest:
    """A container's part of the `restricted` Pod Security Standard; the rest is said once for the pod."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def scratch() -> Manifest:
    """The mount of the one folder that anything may be written to."""
    return {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - inside the container, an emptyDir


def literal(value: str) -> str:
    """A value of an environment variable that the kubelet leaves as it is."""
    # It would replace $(NAME) by another variable's value; $$( stands for a plain $(.
    return value.replace("$(", "$$(")


def resources(profile: Profile, *, devices: bool = True) -> dict[str, Any]:
    """What the profile asks for and allows; with or without its accelerator."""
    device = profile.accelerator if devices else None
    counted = {device.resource: str(device.count)} if device else {}
    amounts = {"requests": {**profile.requests, **counted}, "limits": {**profile.limits, **counted}}
    return {key: value for key, value in amounts.items() if value}
