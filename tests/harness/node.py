"""The kind node image: pulled where a registry answers, else built here from Debian packages and Go modules."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from tests.harness import archives, base, places
from tests.harness.engine import docker
from tests.harness.packages import need
from tests.harness.steps import run, step
from tests.harness.toolchain import KUBERNETES, program, programs

PUBLIC = f"kindest/node:v{KUBERNETES}"
_FILES = Path(__file__).parent / "node"
_COPIED = (
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "buildkitd",
    "buildctl",
    "kubelet",
    "kubeadm",
    "kubectl",
)
_REGISTRY = "registry.k8s.io"


def ensure() -> tuple[str, bool]:
    """The reference of the node image, and whether it is one that we built."""
    if base.can_pull(PUBLIC):
        return PUBLIC, False
    reference = f"scientificllm-forge/node:v{KUBERNETES}-{_recipe()}"
    if not docker("images", "-q", reference).strip():
        _build(reference)
    return reference, True


def _recipe() -> str:
    digest = hashlib.sha256()
    for path in (*sorted(_FILES.iterdir()), Path(archives.__file__), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _build(reference: str) -> None:
    base_image = base.ensure()
    copied = programs(*_COPIED)
    with tempfile.TemporaryDirectory(dir=places.cached("node", "x").parent) as scratch:
        context = Path(scratch)
        shutil.copytree(_FILES, context, dirs_exist_ok=True)
        (context / "images").mkdir()
        (context / "version").write_text(f"v{KUBERNETES}\n")
        for name, path in copied.items():
            shutil.copy2(path, context / name)
        with step("packing the control plane's images"):
            archives.write(context / "images" / "control-plane.tar", _static_images(context))
        _proxy_image(base_image, context)
        with step(f"building the kind node image {reference}"):
            docker(
                "build",
                "--network",
                "host",
                "--build-arg",
                f"BASE_IMAGE={base_image}",
                "-t",
                reference,
                context,
            )


def _static_images(context: Path) -> dict[str, tuple[Path, str]]:
    need("gcc")
    run(["gcc", "-static", "-Os", "-o", context / "pause", context / "pause.c"])
    wanted = run([program("kubeadm"), "config", "images", "list", "--kubernetes-version", f"v{KUBERNETES}"])
    references = {row.rpartition("/")[2].partition(":")[0]: row for row in wanted.split() if "/" in row}
    images = {
        references["pause"]: (context / "pause", "/pause"),
        references["coredns"]: (program("coredns"), "/coredns"),
    }
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        images[references[name]] = (program(name), f"/usr/local/bin/{name}")
    return images


def _proxy_image(base_image: str, context: Path) -> None:
    # kube-proxy drives nft and conntrack, so its image needs a Debian around the program.
    reference = f"{_REGISTRY}/kube-proxy:v{KUBERNETES}"
    with tempfile.TemporaryDirectory() as scratch, step("building the kube-proxy image"):
        folder = Path(scratch)
        shutil.copy2(program("kube-proxy"), folder / "kube-proxy")
        (folder / "Dockerfile").write_text(
            f"FROM {base_image}\n"
            "RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends"
            " iptables nftables conntrack kmod >/dev/null && rm -rf /var/lib/apt/lists/*\n"
            "COPY kube-proxy /usr/local/bin/kube-proxy\n"
        )
        docker("build", "--network", "host", "-t", reference, folder)
        docker("save", "-o", context / "images" / "kube-proxy.tar", reference)
