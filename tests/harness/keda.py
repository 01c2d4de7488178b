"""KEDA in the kind cluster, built from its Go module: its operator and its metrics adapter, by its own manifests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.harness import archives, kind
from tests.harness.steps import run, step
from tests.harness.toolchain import KEDA, program, source_of

NAMESPACE = "keda"
# program -> the image that its manifest names, and where the program is in it
_IMAGES = {
    "keda": ("ghcr.io/kedacore/keda", "/keda"),
    "keda-adapter": ("ghcr.io/kedacore/keda-metrics-apiserver", "/keda-adapter"),
}
_FOLDERS = ("crd/bases", "service_account", "rbac", "manager", "metrics-server")


def load() -> None:
    """Have its images in the node. Raises HarnessError when they cannot be built."""
    built = {f"{image}:{KEDA}": (program(name), inside) for name, (image, inside) in _IMAGES.items()}
    with tempfile.TemporaryDirectory() as folder, step("loading KEDA into the node"):
        archive = Path(folder) / "keda.tar"
        archives.write(archive, built)
        run([program("kind"), "load", "image-archive", archive, "--name", kind.NAME])


def manifests() -> Iterator[dict[str, Any]]:
    """What `kubectl apply -k config/default` would make, without the webhooks, with the images of `load`."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    config = source_of("github.com/kedacore/keda/v2", "keda") / "config"
    for folder in _FOLDERS:
        for path in sorted((config / folder).glob("*.yaml")):
            for manifest in yaml.safe_load_all(path.read_text()):
                if manifest and manifest["kind"] != "Kustomization":
                    yield _adapted(manifest)


def _adapted(manifest: dict[str, Any]) -> dict[str, Any]:
    if manifest["kind"] == "Deployment":
        [container] = manifest["spec"]["template"]["spec"]["containers"]
        repository = container["image"].rpartition(":")[0]
        # Not pulled, and without a user of its own in the image.
        container.update(image=f"{repository}:{KEDA}", imagePullPolicy="Never")
        container["securityContext"]["runAsUser"] = 65532
        container["resources"] = {"requests": {"cpu": "50m"}}
        container["readinessProbe"]["initialDelaySeconds"] = 1
    return manifest
