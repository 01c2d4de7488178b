"""Container images made without a container engine: one layer with one program in it, as a docker archive."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write(archive: Path, images: Mapping[str, tuple[Path, str]]) -> None:
    """Write `archive` with one image per reference: (program on this machine, its path in the image)."""
    manifest = []
    with tarfile.open(archive, "w") as out:
        for reference, (program, inside) in images.items():
            layer = _layer(program, inside.lstrip("/"))
            digest = hashlib.sha256(layer).hexdigest()
            config = json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "config": {"Entrypoint": [inside], "Env": ["PATH=/usr/local/bin"]},
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                }
            ).encode()
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(out, f"{digest}/layer.tar", layer)
            _add(out, config_name, config)
            manifest.append({"Config": config_name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]})
        _add(out, "manifest.json", json.dumps(manifest).encode())


def _layer(program: Path, inside: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        info = layer.gettarinfo(str(program), inside)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mode = 0o755
        with program.open("rb") as content:
            layer.addfile(info, content)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
