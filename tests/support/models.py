"""Makes ScientificModels, settings and what is observed of them, so that a test shows only the fact it is about."""

from typing import Any

from forge_operator.api.parse import Model, parse
from forge_operator.api.v1alpha1 import API_VERSION, KIND, REVISION_ANNOTATION, Manifest
from forge_operator.children import desired
from forge_operator.settings import Settings
from forge_operator.status.observed import Report

UID = "6a3c1d1e-0000-4000-8000-000000000001"

CPU = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}
GPU = {
    "accelerator": {"resource": "nvidia.com/gpu", "count": 1},
    "requests": {"cpu": 2, "memory": "8192Mi"},
    "nodeSelector": {"lab/gpu": "yes"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "runtimeClassName": "nvidia",
}


def a_body(
    name: str = "hbb-expert", namespace: str = "lab", uid: str = UID, generation: int = 1, **spec: Any
) -> Manifest:
    """A resource as the API server has it; `spec` adds to or replaces the least spec that is valid."""
    least = {"checkpoint": {"uri": "pvc://models/runs/1"}, "baseModel": {"uri": "pvc://models/base"}}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "generation": generation},
        "spec": {**least, **spec},
    }


def a_model(**changes: Any) -> Model:
    """As a_body, parsed."""
    return parse(a_body(**changes))


def some_settings(**changes: Any) -> Settings:
    """An administrator's file with the profiles cpu and gpu."""
    content = {
        "image": "registry.example/inference:0.1.0",
        "defaultProfile": "cpu",
        "profiles": {"cpu": CPU, "gpu": GPU},
    }
    return Settings.model_validate({**content, **changes})


def a_report(**changes: Any) -> Report:
    """What a healthy pod says; `changes` replace whole parts, by their names in JSON."""
    content: dict[str, Any] = {
        "model": "hbb-expert",
        "version": "0.1.0",
        "checkpoint": {
            "digest": "sha256:aa11",
            "baseModel": "org/base",
            "rank": 8,
            "alpha": 16.0,
            "targetModules": ["q_proj", "down_proj"],
        },
        "quantization": {"method": "nf4", "doubleQuant": True, "computeDtype": "bfloat16"},
        "adapterEffect": {"effective": True, "maxAbsLogitDelta": 7.25},
        "probe": {"succeeded": True, "tokens": 8, "milliseconds": 310},
    }
    return Report.model_validate({**content, **changes})


def a_live_deployment(model: Model, settings: Settings | None = None, **status: Any) -> Manifest:
    """The model's Deployment after the API server and its controller have seen it."""
    manifest = next(child for child in desired(model, settings or some_settings()) if child["kind"] == "Deployment")
    spec = {"replicas": 1, **manifest["spec"]}  # the API server's default
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), spec["replicas"])
    return {
        **manifest,
        "spec": spec,
        "metadata": {**manifest["metadata"], "generation": 3},
        "status": {"observedGeneration": 3, **counts, **status},
    }


def a_pod(deployment: Manifest, name: str = "pod-1", *, ready: bool = False, **status: Any) -> Manifest:
    """A pod made from the Deployment's template; its uid is `uid-of-NAME`."""
    template = deployment["spec"]["template"]
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", [])]
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "annotations": dict(template["metadata"]["annotations"])},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def an_old_pod(deployment: Manifest, name: str = "old-1") -> Manifest:
    """A pod that serves the spec of before."""
    pod = a_pod(deployment, name, ready=True)
    pod["metadata"]["annotations"][REVISION_ANNOTATION] = "an-earlier-one"
    return pod


def a_server(
    *, waiting: Manifest | None = None, ended: Manifest | None = None, before: Manifest | None = None
) -> Manifest:
    """Pod status fields whose server container waits, has ended, or ended the last time; else it runs."""
    state: Manifest = {"running": {}}
    if waiting:
        state = {"waiting": waiting}
    if ended:
        state = {"terminated": ended}
    server = {"name": "server", "image": "registry.example/inference:0.1.0", "state": state}
    return {"containerStatuses": [{**server, **({"lastState": {"terminated": before}} if before else {})}]}
