"""Programs built from Go modules, once, into a cache that is keyed by their versions."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness import places
from tests.harness.errors import HarnessError
from tests.harness.packages import found
from tests.harness.steps import run, step

KUBERNETES = "1.37.2"
KEDA = "v2.21.0"
_GO_ENV = {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
_MODULES = Path(__file__).parent / "modules"
_MINOR = KUBERNETES.split(".")[1]
# What Kubernetes' own build stamps into its programs; kubeadm refuses to work without it.
_STAMP = " ".join(
    f"-X {where}={what}"
    for where, what in {
        "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES}",
        "k8s.io/component-base/version.gitMajor": "1",
        "k8s.io/component-base/version.gitMinor": _MINOR,
        "k8s.io/client-go/pkg/version.gitVersion": f"v{KUBERNETES}",
    }.items()
)


@dataclass(frozen=True)
class Source:
    """One program: a package at a version, or a package of one of the modules kept beside this file."""

    package: str
    version: str
    module: str | None = None  # a folder of `modules/`, for what cannot be `go install`ed
    stamp: str = ""
    tags: str = ""
    seconds: int = field(default=60, compare=False)  # cold, on 2 cores; told to the person who waits


def _kubernetes(name: str, seconds: int) -> Source:
    return Source(f"k8s.io/kubernetes/cmd/{name}", f"v{KUBERNETES}", "kubernetes", _STAMP, seconds=seconds)


_CONTAINERD = "github.com/containerd/containerd/v2/cmd/"
_NO_STORES = "no_btrfs no_zfs no_devmapper"  # snapshotters that would need C libraries

PROGRAMS: Mapping[str, Source] = {
    "kube-apiserver": _kubernetes("kube-apiserver", 345),
    "kube-controller-manager": _kubernetes("kube-controller-manager", 91),
    "kube-scheduler": _kubernetes("kube-scheduler", 12),
    "kubelet": _kubernetes("kubelet", 28),
    "kube-proxy": _kubernetes("kube-proxy", 10),
    "kubectl": _kubernetes("kubectl", 35),
    "kubeadm": _kubernetes("kubeadm", 29),
    "etcd": Source("go.etcd.io/etcd/server/v3", "as Kubernetes pins it", "kubernetes", seconds=10),
    "buildkitd": Source("github.com/moby/buildkit/cmd/buildkitd", "v0.34.2", "buildkit", seconds=70),
    "buildctl": Source("github.com/moby/buildkit/cmd/buildctl", "v0.34.2", "buildkit", seconds=10),
    "kwok": Source("sigs.k8s.io/kwok/cmd/kwok", "v0.8.0", seconds=131),
    "kwokctl": Source("sigs.k8s.io/kwok/cmd/kwokctl", "v0.8.0", seconds=14),
    "helm": Source("helm.sh/helm/v4/cmd/helm", "v4.3.1", seconds=120),
    "kind": Source("sigs.k8s.io/kind", "v0.33.0", seconds=6),
    "kubeconform": Source("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0", seconds=3),
    "coredns": Source("github.com/coredns/coredns", "v1.15.0", seconds=120),
    "containerd": Source(f"{_CONTAINERD}containerd", "v2.4.2", tags=_NO_STORES, seconds=127),
    "containerd-shim-runc-v2": Source(f"{_CONTAINERD}containerd-shim-runc-v2", "v2.4.2", tags=_NO_STORES, seconds=16),
    "ctr": Source(f"{_CONTAINERD}ctr", "v2.4.2", tags=_NO_STORES, seconds=10),
    "keda": Source("github.com/kedacore/keda/v2/cmd/operator", KEDA, "keda", seconds=900),
    "keda-adapter": Source("github.com/kedacore/keda/v2/cmd/adapter", KEDA, "keda", seconds=60),
    # Servers that downloads are tested against.
    "versitygw": Source("github.com/versity/versitygw/cmd/versitygw", "v1.8.0", seconds=66),
    "registry": Source("github.com/distribution/distribution/v3/cmd/registry", "v3.1.1", seconds=100),
}


def program(name: str) -> Path:
    """The path of a program in the cache, built first if it is not there.

    Raises
    ------
    HarnessError
        Go is missing, or the build failed; the message has the compiler's words.
    """
    source, path = PROGRAMS[name], _path(name)
    if path.exists():
        return path
    go = _go(f"{name} must be built")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two builds at once would only slow each other down: the second waits and finds the result.
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with step(f"building {name} {source.version} (about {source.seconds} s when nothing is cached)"):
                _build(go, source, path)
    return path


def is_built(name: str) -> bool:
    """Whether the program is in the cache already."""
    return _path(name).exists()


def _path(name: str) -> Path:
    return places.cached("bin", f"{name}-{PROGRAMS[name].version.replace(' ', '-')}", name)


def programs(*names: str) -> dict[str, Path]:
    """Several programs by name, in the order given."""
    return {name: program(name) for name in names}


def source_of(module: str, pinned_by: str) -> Path:
    """The source of a Go module at the version that one of `modules/` pins.

    Raises
    ------
    HarnessError
        Go is missing, or the module cannot be had.
    """
    command = [_go(f"the source of {module} is needed"), "mod", "download", "-json", module]
    return Path(json.loads(run(command, env=_GO_ENV, cwd=_MODULES / pinned_by))["Dir"])


def _go(why: str) -> str:
    go = found("go")
    if go is None:
        raise HarnessError(f"{why} and Go is missing: install Go 1.26 or newer, or put it on PATH")
    return go


def _build(go: str, source: Source, path: Path) -> None:
    flags = ["-trimpath", "-ldflags", f"-s -w {source.stamp}".strip(), "-tags", source.tags]
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        folder = Path(scratch)
        if source.module:
            shutil.copytree(_MODULES / source.module, folder, dirs_exist_ok=True)
            run([go, "build", *flags, "-o", folder / "out", source.package], env=_GO_ENV, cwd=folder)
            built = folder / "out"
        else:
            run([go, "install", *flags, f"{source.package}@{source.version}"], env={**_GO_ENV, "GOBIN": scratch})
            built = folder / path.name
        os.replace(built, path)
