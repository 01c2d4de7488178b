"""A real API server, scheduler and controller manager without containers; kwok plays the kubelet.

Pods become Ready by themselves and have addresses in 127.0.0.0/8, so that a test can answer for them on loopback.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.harness import places
from tests.harness.steps import run, step
from tests.harness.toolchain import programs

# The address range of all pods; 65,534 of them fit.
POD_CIDR = "127.1.0.0/16"
# One node holds 5,000 pods: the scheduler is not what is under test.
_CAPACITY = {"cpu": "10000", "memory": "10Ti", "pods": "5000", "ephemeral-storage": "10Ti"}
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane: its name, how to reach it, and the log of every write."""

    name: str
    kubeconfig: Path
    audit_log: Path


# Program to the flag by which kwokctl is told of it.
_PROGRAMS = {
    "etcd": "--etcd-binary",
    "kube-apiserver": "--kube-apiserver-binary",
    "kube-controller-manager": "--kube-controller-manager-binary",
    "kube-scheduler": "--kube-scheduler-binary",
    "kwok": "--kwok-controller-binary",
}


def prepare() -> None:
    """Build what a control plane consists of, if it was not built yet."""
    programs(*_PROGRAMS, "kwokctl", "kubectl")


def start(name: str, kubeconfig: Path, *, autoscaler_every: int = 2) -> ControlPlane:
    """Start a control plane of this name, or return the one that runs already.

    Clusters look at their autoscalers every 15 seconds: tests would wait for little else.
    """
    kwokctl = _kwokctl()
    plane = ControlPlane(name, kubeconfig, _folder(name) / "logs" / "audit.log")
    if name in run([kwokctl, "get", "clusters"]).split() and kubeconfig.exists():
        return plane
    binaries = programs(*_PROGRAMS)
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    with step(f"starting the control plane {name}"), tempfile.TemporaryDirectory() as scratch:
        policy = Path(scratch) / "audit.yaml"
        policy.write_text(yaml.safe_dump(_AUDIT_POLICY))
        command: list[str | Path] = [
            kwokctl,
            "create",
            "cluster",
            "--name",
            name,
            "--runtime",
            "binary",
            "--wait",
            "90s",
        ]
        command += ["--kubeconfig", kubeconfig, "--kube-audit-policy", policy]
        # The default service range holds 253 Services; a lab with many models needs more, and so do our tests.
        command += ["--extra-args", "kube-apiserver=service-cluster-ip-range=10.96.0.0/16"]
        command += ["--extra-args", "etcd=unsafe-no-fsync=true"]  # nothing here outlives a crash anyway
        # Kubernetes' controllers hold themselves to 20 calls a second: many models would wait for them, not for us.
        # (kwokctl 0.8.0 panics unless every program has its first argument before any has a second.)
        for argument in ("kube-api-qps=500", "kube-api-burst=1000"):
            for program in ("kube-controller-manager", "kube-scheduler"):
                command += ["--extra-args", f"{program}={argument}"]
        look = f"horizontal-pod-autoscaler-sync-period={autoscaler_every}s"
        command += ["--extra-args", f"kube-controller-manager={look}"]
        # As in any cluster, the API server passes requests on to its extensions in the name of who asks.
        for argument in (
            f"requestheader-client-ca-file={_folder(name) / 'pki' / 'ca.crt'}",
            "requestheader-allowed-names=kwok-admin",
            "requestheader-username-headers=X-Remote-User",
            "requestheader-group-headers=X-Remote-Group",
            "requestheader-extra-headers-prefix=X-Remote-Extra-",
        ):
            command += ["--extra-args", f"kube-apiserver={argument}"]
        for program, path in binaries.items():
            command += [_PROGRAMS[program], path]
        # Go's collector at its default takes a quarter of the two cores when many objects are written.
        run(command, timeout=180, env={"GOGC": "400"})
        run([_kubectl(), "--kubeconfig", kubeconfig, "apply", "-f", "-"], stdin=json.dumps(_node()).encode())
    kubeconfig.chmod(0o600)
    return plane


def stop(name: str, kubeconfig: Path) -> None:
    """Delete the control plane of this name, if there is one."""
    if name in run([_kwokctl(), "get", "clusters"]).split():
        with step(f"deleting the control plane {name}"):
            run([_kwokctl(), "delete", "cluster", "--name", name, "--kubeconfig", kubeconfig])
        shutil.rmtree(_folder(name), ignore_errors=True)
    kubeconfig.unlink(missing_ok=True)


def _folder(name: str) -> Path:
    return Path.home() / ".kwok" / "clusters" / name


def _kwokctl() -> Path:
    return programs("kwokctl")["kwokctl"]


def _kubectl() -> Path:
    return programs("kubectl")["kubectl"]


def _node() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "kwok-0",
            "labels": {
                "type": "kwok",
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": "kwok-0",
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"podCIDR": POD_CIDR, "podCIDRs": [POD_CIDR]},
        "status": {"allocatable": _CAPACITY, "capacity": _CAPACITY},
    }


KUBECONFIG = places.CLUSTER / "control-plane.kubeconfig"
