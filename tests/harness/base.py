"""The image that ours are built on: the public Python image, or Debian itself where none can be pulled."""

import os
import shutil
import tempfile
from pathlib import Path

from tests.harness import places
from tests.harness.engine import docker
from tests.harness.errors import HarnessError
from tests.harness.packages import need
from tests.harness.steps import run, step

PUBLIC = "python:3.11-slim-bookworm"
# The tag is raised when the recipe below changes.
BUILT = "scientificllm-forge/base:bookworm-2"
_PACKAGES = "python3,python3-venv,ca-certificates"
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Nobody reads these inside an image: a third of the size.
_DROPPED = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
]


def can_pull(reference: str) -> bool:
    """Whether an image is here or can be pulled within a minute."""
    try:
        if not docker("images", "-q", reference).strip():
            docker("pull", "-q", reference, timeout=60)
    except HarnessError:
        return False
    return True


def ensure() -> str:
    """The reference of the base image, made first if need be."""
    if can_pull(PUBLIC):
        return PUBLIC
    if not docker("images", "-q", BUILT).strip():
        archive = _archive()
        with step(f"importing the base image {BUILT}"):
            changes = ["--change", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
            changes += ["--change", f"ENV SSL_CERT_FILE={_BUNDLE}", "--change", 'CMD ["/bin/bash"]']
            docker("import", *changes, archive, BUILT)
    return BUILT


def _archive() -> Path:
    archive = places.cached("base", BUILT.rpartition(":")[2] + ".tar")
    if archive.exists():
        return archive
    need("debootstrap")
    folder = Path(tempfile.mkdtemp(dir=archive.parent))
    try:
        with step("no registry answers: making a base image from Debian packages (about 80 s)"):
            root = folder / "root"
            run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root])
            for name in _DROPPED:
                shutil.rmtree(root / name, ignore_errors=True)
            (root / "var/lib/apt/lists/partial").mkdir(parents=True)
            (root / "var/cache/apt/archives/partial").mkdir(parents=True)
            if _BUNDLE.exists():  # else pip inside a build cannot verify an index behind a private authority
                shutil.copyfile(_BUNDLE, root / _BUNDLE.relative_to("/"))
            run(["tar", "-C", root, "-cf", folder / "base.tar", "."])
        os.replace(folder / "base.tar", archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return archive
