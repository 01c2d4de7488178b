"""A real registry of OCI artefacts, and a token service such as those that public registries have in front."""

import hashlib
import json
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.toolchain import program
from tests.support.fileserver import FileServer, Reply, Request
from tests.support.ports import free_port
from tests.support.s3 import answers
from tests.support.waiting import until

USER, PASSWORD = "lab", "pull-secret-canary"
# htpasswd's line for them
_LINE = f"{USER}:$2b$04$OkHv8Vg/b42PbBHJlWxWF.te659SIONz3Upk93mHdqF2tkw5Vho7a\n"
_BASIC = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True)
class Layer:
    """What is pushed as one blob."""

    data: bytes
    title: str = ""
    kind: str = "application/octet-stream"
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @property
    def described(self) -> dict[str, object]:
        notes = {**dict(self.notes), **({TITLE: self.title} if self.title else {})}
        return {"mediaType": self.kind, "digest": self.digest, "size": len(self.data), "annotations": notes}


@dataclass(frozen=True)
class Registry:
    """It listens on this port; with a login, Basic."""

    port: int
    login: bool

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def push(self, name: str, tag: str, *layers: Layer) -> str:
        """By the distribution API; the digest of the manifest."""
        config = Layer(b"{}", kind="application/vnd.oci.empty.v1+json")
        for layer in (config, *layers):
            place = self._ask("POST", f"/v2/{name}/blobs/uploads/")
            joint = "&" if "?" in place else "?"
            self._ask("PUT", f"{place}{joint}digest={layer.digest}", layer.data, "application/octet-stream")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.described,
            "layers": [layer.described for layer in layers],
        }
        raw = json.dumps(manifest).encode()
        self._ask("PUT", f"/v2/{name}/manifests/{tag}", raw, MANIFEST)
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def _ask(self, method: str, place: str, data: bytes | None = None, kind: str = "") -> str:
        """The place that the answer names."""
        url = place if "://" in place else self.url + place
        headers = {**({"Authorization": _BASIC} if self.login else {}), **({"Content-Type": kind} if kind else {})}
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
            answer.read()
            return str(answer.headers["Location"])


@contextmanager
def running(folder: Path, *, login: bool) -> Iterator[Registry]:
    """The distribution project's registry answers until the end of the block."""
    folder.mkdir()
    port = free_port()
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if login:
        (folder / "htpasswd").write_text(_LINE)
        config["auth"] = {"htpasswd": {"realm": "lab", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program("registry"), "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/v2/"), limit=90, what="registry")
        assert process.poll() is None, (folder / "log").read_text()
        yield Registry(port, login)
    finally:
        process.terminate()
        process.wait(10)


def pull_secret(host: str) -> dict[str, str]:
    """As `kubectl create secret docker-registry` writes it."""
    return {".dockerconfigjson": json.dumps({"auths": {host: {"username": USER, "password": PASSWORD}}})}


def with_tokens(registry: Registry, server: FileServer, blobs: str = "") -> None:
    """Make a server stand before a registry. It asks for tokens, each good for one answer; `/token` gives them.

    With `blobs` the bytes come from that URL, as from a store behind a registry.
    """
    good: list[str] = []

    def answer(request: Request) -> Reply:
        if request.path == "/token":
            if request.headers.get("authorization") != _BASIC or "scope=repository%3A" not in request.query:
                return Reply(401)
            good.append(f"Bearer bearer-canary-{len(server.requests)}")
            return Reply(200, json.dumps({"token": good[-1].removeprefix("Bearer ")}).encode())
        if request.headers.get("authorization") not in good:
            realm = f'Bearer realm="{server.url}/token",service="registry.example",scope="repository:lab/facts:pull"'
            return Reply(401, headers={"WWW-Authenticate": realm})
        good.clear()
        if blobs and "/blobs/" in request.path:
            return Reply(307, headers={"Location": blobs + request.path})
        passed = {name: request.headers[name] for name in ("accept", "range") if name in request.headers}
        with urllib.request.urlopen(urllib.request.Request(registry.url + request.path, headers=passed)) as found:
            return Reply(found.status, found.read(), {"Content-Type": found.headers["Content-Type"]})

    server.answer = answer
