"""A kind cluster: created once, used again, and deleted without a trace."""

import subprocess
from pathlib import Path

import yaml

from tests.harness import engine, node, places
from tests.harness.steps import run, say, step
from tests.harness.toolchain import program

NAME = "forge"
NODE = f"{NAME}-control-plane"
KUBECONFIG = places.CLUSTER / "kubeconfig"
# The kubelet's and kube-proxy's share of making a node out of a container on any kernel and cgroup version.
_BUILT_NODE_PATCHES = [
    {
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        # Docker's own 127.0.0.11 would make CoreDNS ask itself.
        "resolvConf": "/kind/resolv.conf",
    },
    {"kind": "KubeProxyConfiguration", "conntrack": {"maxPerCore": 0}},
]


def ensure() -> bool:
    """Have the cluster run and `KUBECONFIG` name it; True when its node image is one that we built."""
    engine.ensure()
    kind = program("kind")
    image, built = node.ensure()
    if NAME in run([kind, "get", "clusters"]).split():
        if KUBECONFIG.exists() and healthy():
            say(f"using the kind cluster {NAME} that runs already")
            return built
        delete()
    with step(f"creating the kind cluster {NAME} from {image}"):
        KUBECONFIG.parent.mkdir(parents=True, exist_ok=True)
        config = yaml.safe_dump(_config(image, built)).encode()
        command: list[str | Path] = [
            kind,
            "create",
            "cluster",
            "--name",
            NAME,
            "--kubeconfig",
            KUBECONFIG,
            "--config",
            "-",
        ]
        run([*command, "--wait", "120s", "--retain"], stdin=config, timeout=400)
        KUBECONFIG.chmod(0o600)
    return built


def healthy() -> bool:
    """Whether the API server answers and the node is Ready."""
    words = [
        program("kubectl"),
        "--kubeconfig",
        KUBECONFIG,
        "wait",
        "--for=condition=Ready",
        "node",
        NODE,
        "--timeout=30s",
    ]
    return subprocess.run([str(word) for word in words], capture_output=True, check=False).returncode == 0


def delete() -> None:
    """Delete the cluster and what it left in the engine."""
    with step(f"deleting the kind cluster {NAME}"):
        run([program("kind"), "delete", "cluster", "--name", NAME, "--kubeconfig", KUBECONFIG])
        engine.docker("volume", "prune", "--force")
    KUBECONFIG.unlink(missing_ok=True)


def load(image: str) -> None:
    """Copy an image from the engine into the node."""
    with step(f"loading {image} into the node"):
        run([program("kind"), "load", "docker-image", image, "--name", NAME])


def in_node(*words: str | Path) -> str:
    """Run a program in the node; what it printed."""
    return engine.docker("exec", NODE, *words)


def _config(image: str, built: bool) -> dict[str, object]:
    config: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "image": image}],
    }
    if built:
        config["networking"] = {
            "disableDefaultCNI": True,  # the node image brings a bridge of its own
            "podSubnet": "10.244.0.0/24",
            "kubeProxyMode": "nftables",
            "apiServerAddress": "127.0.0.1",
        }
        mount = {"hostPath": "/etc/resolv.conf", "containerPath": "/kind/resolv.conf", "readOnly": True}
        config["nodes"] = [{"role": "control-plane", "image": image, "extraMounts": [mount]}]
        config["kubeadmConfigPatches"] = [yaml.safe_dump(patch) for patch in _BUILT_NODE_PATCHES]
    return config
