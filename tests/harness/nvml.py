"""A GPU in a file: NVML's library with the figures that a test writes, and the inference image with it.

Above that boundary nothing is replaced: pynvml, our reading of it, /metrics and what scales by it are the real ones.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from tests.harness import images, places
from tests.harness.packages import need
from tests.harness.steps import run

VARIABLE = "FORGE_TEST_NVML"  # of the environment: the file, with a line "PERCENT MIB"
IN_POD = "/tmp/nvml"
_SOURCE = Path(__file__).parent / "nvml" / "nvml.c"
_NAME = "libnvidia-ml.so.1"
_DOCKERFILE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
COPY {_NAME} /opt/nvml/{_NAME}
ENV LD_LIBRARY_PATH=/opt/nvml {VARIABLE}={IN_POD}
"""


def library() -> Path:
    """The library; programs find it in its folder by LD_LIBRARY_PATH. Raises HarnessError without a compiler."""
    path = places.cached("nvml", hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12], _NAME)
    if not path.exists():
        need("gcc")
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            built = Path(scratch) / _NAME
            # An older C: its functions are in every C library that the image may bring.
            run(["gcc", "-std=gnu11", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O2", "-o", built, _SOURCE])
            built.replace(path)
    return path


def image(inference: str) -> str:
    """The inference image with the library in it, in the kind node; its reference."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        (context / "Dockerfile").write_text(_DOCKERFILE)
        shutil.copy2(library(), context / _NAME)
        return images.layered("inference-nvml", inference, context)
