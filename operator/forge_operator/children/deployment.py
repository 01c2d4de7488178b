"""The Deployment that serves one model."""

from typing import Any

from forge_operator.api.parse import Model
from forge_operator.api.science import TASKS
from forge_operator.api.v1alpha1 import (
    REVISION_ANNOTATION,
    SERVER,
    URL_ANNOTATION,
    Manifest,
    Spec,
)
from forge_operator.children import fetching, files
from forge_operator.children.autoscaling import asked
from forge_operator.children.container import literal, resources, restricted, scratch
from forge_operator.children.shape import (
    ADMIN_PORT,
    HTTP_PORT,
    MODEL_ANNOTATION,
    child_name,
    digest,
    labels,
    metadata,
    selector,
)
from forge_operator.errors import InvalidSpec
from forge_operator.settings import Profile, Settings

_NOBODY = 65532
_STARTUP_SECONDS = 30 * 60  # weights take a while to read and to quantise
_UNLISTED_SECONDS = 10  # endpoints lag behind a deletion: a pod that leaves still gets requests for so long


def deployment(model: Model, settings: Settings) -> Manifest:
    """Raises InvalidSpec when the administrator does not offer the profile."""
    profile = _profile(model.spec, settings)
    attempts = settings.sources.timeout_seconds * len(fetching.fetched(model))
    template = _template(model, settings, profile)
    # Lets status tell pods of this rendering from older ones. It covers serving inputs only: an upgrade of
    # the operator that renders the same pods restarts none.
    template["metadata"]["annotations"][REVISION_ANNOTATION] = digest(template)[:16]
    url = f"http://{child_name(model.name)}.{model.namespace}.svc.{settings.cluster_domain}"
    shared = metadata(model)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**shared, "annotations": {**shared["annotations"], URL_ANNOTATION: url}},
        "spec": {
            # An autoscaler's field is not ours to send: each apply would fight it.
            **({} if asked(model, settings) else {"replicas": model.spec.replicas}),
            "revisionHistoryLimit": 2,
            # Longer than start-up may take: a slow load is not a failed rollout.
            "progressDeadlineSeconds": _STARTUP_SECONDS + attempts + 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _strategy(profile)},
            "selector": {"matchLabels": selector(model)},
            "template": template,
        },
    }


def _profile(spec: Spec, settings: Settings) -> Profile:
    name = spec.profile or settings.default_profile
    if name not in settings.profiles:
        offered = ", ".join(sorted(settings.profiles))
        raise InvalidSpec(f"spec.profile: there is no profile {name!r} here; choose one of: {offered}")
    return settings.profiles[name]


def _strategy(profile: Profile) -> dict[str, int]:
    if profile.accelerator:
        # A surge pod would wait for ever for the device that the old pod still holds.
        return {"maxSurge": 0, "maxUnavailable": 1}
    return {"maxSurge": 1, "maxUnavailable": 0}


def _template(model: Model, settings: Settings, profile: Profile) -> Manifest:
    spec: Manifest = {
        "serviceAccountName": child_name(model.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # every Service of the namespace would become environment variables
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "runAsGroup": _NOBODY,
            "fsGroup": _NOBODY,
            "fsGroupChangePolicy": "OnRootMismatch",  # not a walk through all weights at each start
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": _UNLISTED_SECONDS + model.spec.serving.request_timeout_seconds + 10,
        "containers": [_server(model, settings, profile)],
        "volumes": [
            *files.volumes(model),
            *fetching.volumes(model, settings.sources),
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
    # Only what is set: the API server does not store empty fields, and drift would be seen in them.
    chosen = {
        "initContainers": fetching.init_containers(model, settings, profile),
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": profile.node_selector,
        "tolerations": profile.tolerations,
        "runtimeClassName": profile.runtime_class_name,
    }
    return {
        "metadata": {"labels": labels(model), "annotations": {MODEL_ANNOTATION: model.name}},
        "spec": spec | {key: value for key, value in chosen.items() if value},
    }


def _server(model: Model, settings: Settings, profile: Profile) -> Manifest:
    return {
        "name": SERVER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "env": [{"name": name, "value": literal(value)} for name, value in environment(model).items()],
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "resources": resources(profile),
        "volumeMounts": [*files.mounts(model), scratch()],
        # Often: a small model loads in seconds, and is Ready only when the kubelet has looked.
        "startupProbe": _probe("/startupz", every=2, failures=_STARTUP_SECONDS // 2),
        "readinessProbe": _probe("/readyz", every=5, failures=2),
        "livenessProbe": _probe("/livez", every=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": _UNLISTED_SECONDS}}},
        # A server that died without last words leaves its last log lines instead.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": restricted(),
    }


def environment(model: Model) -> dict[str, str]:
    """The whole contract with the server; `tests/contract` reads it back with the server's own settings."""
    spec, serving, quantization = model.spec, model.spec.serving, model.spec.quantization
    at = files.paths(model)
    brought = {
        "FORGE_LEXICONS": ",".join(path for place, path in at.items() if place.startswith("lexicon-")),
        "FORGE_CALIBRATION": ",".join(path for place, path in at.items() if place.startswith("calibration-")),
    }
    return {
        "FORGE_MODEL_NAME": model.name,
        "FORGE_CHECKPOINT": at["checkpoint"],
        "FORGE_BASE_MODEL": at["base"],
        "FORGE_CHECKPOINT_URI": spec.checkpoint.uri,
        "FORGE_BASE_MODEL_URI": spec.base_model.uri,
        "FORGE_QUANTIZATION": quantization.method,
        "FORGE_DOUBLE_QUANT": "true" if quantization.doubles else "false",
        "FORGE_COMPUTE_DTYPE": quantization.compute_dtype,
        "FORGE_MAX_MODEL_LEN": str(serving.max_model_len),
        "FORGE_MAX_BATCH": str(serving.max_concurrency),
        "FORGE_MAX_QUEUE": str(serving.max_queue),
        "FORGE_REQUEST_TIMEOUT_SECONDS": str(serving.request_timeout_seconds),
        # In one order, whatever the author's: pods need not start anew for it.
        "FORGE_TASKS": ",".join(task for task in TASKS if task in serving.tasks),
        **{name: listed for name, listed in brought.items() if listed},
        "FORGE_HOST": "0.0.0.0",  # noqa: S104 - the pod's own network; the NetworkPolicy decides who comes in
        "FORGE_PORT": str(HTTP_PORT),
        "FORGE_ADMIN_PORT": str(ADMIN_PORT),
        "FORGE_TERMINATION_LOG": "/dev/termination-log",
        "FORGE_LOG_FORMAT": "json",
        "FORGE_LOG_LEVEL": "info",
    }


def _probe(path: str, *, every: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": every,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
