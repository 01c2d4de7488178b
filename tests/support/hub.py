"""A server that speaks the hub's API, as far as downloads of models need it."""

import hashlib
import json
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.support.fileserver import FileServer, Reply, Request

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """One repository. Files of `lfs` have a SHA-256 and come from the `cdn`, another host, as on the real hub."""

    files: dict[str, bytes]
    repo: str = "lab/gene-facts"
    branches: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    token: str = ""
    lfs: tuple[str, ...] = (".safetensors",)
    cdn: FileServer | None = None
    cdn_host: str = "127.0.0.1"
    sizes: dict[str, int] = field(default_factory=dict)  # told instead of the true ones
    server: FileServer = field(default_factory=FileServer)

    def __post_init__(self) -> None:
        self.server.answer = self._answer

    def _answer(self, request: Request) -> Reply | None:
        if self.server.statuses:
            return Reply(self.server.statuses.pop(0), headers={"Retry-After": "0"})
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, headers={"X-Error-Code": "RepoNotFound"})
        api, file = f"/api/models/{self.repo}/revision/", f"/{self.repo}/resolve/"
        if request.path.startswith(api):
            return self._info(unquote(request.path.removeprefix(api)))
        if request.path.startswith(file):
            commit, _, path = request.path.removeprefix(file).partition("/")
            return self._file(request, commit, unquote(path))
        return Reply(404, headers={"X-Error-Code": "RepoNotFound"})

    def _info(self, revision: str) -> Reply:
        commit = self.branches.get(revision, revision)
        if commit not in self.branches.values():
            return Reply(404, headers={"X-Error-Code": "RevisionNotFound"})
        siblings = [self._sibling(path, data) for path, data in self.files.items()]
        return Reply(
            200,
            json.dumps({"id": self.repo, "sha": commit, "private": False, "siblings": siblings}).encode(),
            {"Content-Type": "application/json"},
        )

    def _sibling(self, path: str, data: bytes) -> dict[str, object]:
        size = self.sizes.get(path, len(data))
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        told: dict[str, object] = {"rfilename": path, "size": size, "blobId": blob}
        if path.endswith(self.lfs):
            told["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
        return told

    def _file(self, request: Request, commit: str, path: str) -> Reply:
        if commit not in self.branches.values() or path not in self.files:
            return Reply(404, headers={"X-Error-Code": "EntryNotFound"})
        data = self.files[path]
        if self.cdn is not None and path.endswith(self.lfs):
            place = f"/{hashlib.sha256(data).hexdigest()}"
            self.cdn.files[place] = data
            url = f"http://{self.cdn_host}:{self.cdn.port}{place}?Signature=canary-signature"
            return Reply(302, headers={"Location": url})
        return self.server.file(request, data)
