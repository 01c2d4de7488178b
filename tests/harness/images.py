"""Our two images: built, and put where the cluster's pods find them. An unchanged image is not built again."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.harness import base, kind, places
from tests.harness.engine import docker
from tests.harness.errors import HarnessError
from tests.harness.steps import run, step
from tests.harness.toolchain import program

REFERENCES = places.CLUSTER / "images.json"
# What each image is made of; the tag is a digest over exactly this.
_INGREDIENTS = {
    "operator": ("operator/Dockerfile", "pyproject.toml", "uv.lock", "operator/forge_operator"),
    "inference": ("inference/Dockerfile", "pyproject.toml", "uv.lock", "inference/forge_inference"),
}
# One set of layers of each image, with room to spare.
_BUILD_CACHE_MB = 9000
_KEPT_OUT = ("__pycache__", ".venv", ".cluster", ".git")


def ensure(built_node: bool) -> Mapping[str, str]:
    """Have both images in the kind node; their references by name, also in `.cluster/images.json`."""
    base_image = base.ensure()
    references = {}
    for name in _INGREDIENTS:
        reference = references[name] = f"scientificllm-forge/{name}:{_tag(name, base_image)}"
        if not _in_node(reference):
            if built_node:
                _build_in_node(name, reference, base_image)
                _prune_build_cache()
            else:
                _build_and_load(name, reference, base_image)
            _prune(name, reference)
    remember(references)
    return references


def layered(name: str, below: str, context: Path) -> str:
    """Have what the Dockerfile of `context` lays on an image of ours in the kind node; its reference."""
    digest = hashlib.sha256(below.encode())
    for path in sorted(context.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    reference = f"scientificllm-forge/{name}:{digest.hexdigest()[:12]}"
    if not _in_node(reference):
        if kind.in_node("sh", "-c", "command -v buildkitd || true").strip():
            _solve_in_node(reference, context, context, below)
        else:
            docker("build", "--build-arg", f"BASE_IMAGE={below}", "-t", reference, context)
            kind.load(reference)
        _prune(name, reference)
    return reference


def remember(references: Mapping[str, str]) -> None:
    """Write the references for the demo and the tests."""
    REFERENCES.parent.mkdir(parents=True, exist_ok=True)
    REFERENCES.write_text(json.dumps(dict(references), indent=1) + "\n")


def remembered() -> Mapping[str, str]:
    """The references that `ensure` wrote.

    Raises
    ------
    HarnessError
        It was not run yet.
    """
    try:
        return dict(json.loads(REFERENCES.read_text()))
    except FileNotFoundError as error:
        raise HarnessError(f"{REFERENCES} is missing: run `python -m tests.harness up`") from error


def _tag(name: str, base_image: str) -> str:
    digest = hashlib.sha256(base_image.encode())
    for path in _files(name):
        digest.update(str(path.relative_to(places.ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _files(name: str) -> Iterable[Path]:
    for ingredient in _INGREDIENTS[name]:
        path = places.ROOT / ingredient
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in files if file.is_file() and not set(_KEPT_OUT) & set(file.parts))


def _in_node(reference: str) -> bool:
    return f"docker.io/{reference}" in kind.in_node("ctr", "-n", "k8s.io", "images", "list", "-q").split()


def _build_in_node(name: str, reference: str, base_image: str) -> None:
    if not _in_node(base_image):
        kind.load(base_image)
    _solve_in_node(reference, places.ROOT, places.ROOT / name, base_image)


def _solve_in_node(reference: str, context: Path, recipe: Path, base_image: str) -> None:
    command: list[str | Path] = [program("buildctl"), "--addr", f"docker-container://{kind.NODE}", "build"]
    command += ["--frontend", "dockerfile.v0", "--local", f"context={context}"]
    command += ["--local", f"dockerfile={recipe}", "--opt", "image-resolve-mode=local"]
    command += ["--opt", f"build-arg:BASE_IMAGE={base_image}", "--progress", "plain", "--output"]
    command += [f"type=image,name=docker.io/{reference},unpack=true,compression=uncompressed"]
    with step(f"building {reference} inside the node"):
        run(command)


def _build_and_load(name: str, reference: str, base_image: str) -> None:
    with step(f"building {reference}"):
        dockerfile = places.ROOT / name / "Dockerfile"
        docker("build", "--build-arg", f"BASE_IMAGE={base_image}", "-f", dockerfile, "-t", reference, places.ROOT)
    kind.load(reference)


def _prune(name: str, kept: str) -> None:
    """Drop former builds of an image from the node: each may be gigabytes."""
    listed = kind.in_node("ctr", "-n", "k8s.io", "images", "list", "-q").split()
    stale = [
        row for row in listed if row.startswith(f"docker.io/scientificllm-forge/{name}:") and not row.endswith(kept)
    ]
    for row in stale:
        kind.in_node("ctr", "-n", "k8s.io", "images", "rm", row)


def _prune_build_cache() -> None:
    """Let go of the layers of former builds: each former lock file left one of 6 GB behind."""
    command: list[str | Path] = [program("buildctl"), "--addr", f"docker-container://{kind.NODE}", "prune"]
    run([*command, "--keep-storage", str(_BUILD_CACHE_MB)])


def size_megabytes(reference: str) -> float:
    """The size of an image in the node; its layers are stored uncompressed."""
    listed = kind.in_node("ctr", "-n", "k8s.io", "images", "list", f"name==docker.io/{reference}")
    # Not by its place: the program may say something else besides.
    number, unit = re.search(r"([\d.]+) ([KMG])iB", listed).groups()  # type: ignore[union-attr]
    return float(number) * 1024.0 ** " KMG".index(unit) / 1e6
