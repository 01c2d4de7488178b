"""hf://org/repo[@revision]: a model repository of the Hugging Face hub, or of a mirror that speaks its API.

huggingface_hub asks what is there; the bytes come over our own connections, since the library's downloads know no
limits of size and time, and go wherever the hub redirects to.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from forge_inference.sources.addresses import Uri
from forge_inference.sources.connections import Connections, body, judge, shown, wished
from forge_inference.sources.contract import FACTS, Body, Entry, Listing
from forge_inference.sources.credentials import Credentials
from forge_inference.sources.errors import SourceError, passes

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

_URI = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[^\s@]+))?")
_DEFAULT = "https://huggingface.co"
# The same weights for other frameworks, often twice the download. The server reads safetensors alone.
_OTHER_FORMATS = (".bin", ".ckpt", ".gguf", ".h5", ".mlmodel", ".msgpack", ".onnx", ".ot", ".pt", ".pth", ".tflite")


class Hub:
    """One repository at one revision: a branch or tag until `listing` has found its commit."""

    def __init__(self, uri: Uri, revision: str, connections: Connections, credentials: Credentials) -> None:
        found = _URI.fullmatch(uri.rest)
        if found is None:
            raise SourceError("SourceInvalid", f"{uri.shown}: write hf://org/repo or hf://org/repo@revision.")
        if revision and found["revision"] not in (None, revision):
            raise SourceError("SourceInvalid", f"{uri.shown} and the revision {revision} differ: keep one of them.")
        self._repo, self.asked = found["repo"], found["revision"] or revision or "main"
        self._revision = self.asked
        self._connections, self._credentials = connections, credentials
        self._endpoint = (os.environ.get("HF_ENDPOINT") or _DEFAULT).rstrip("/")
        self.place = f"{self._endpoint}/{self._repo}"
        token = credentials.get("HF_TOKEN")
        self._secret = {"Authorization": f"Bearer {token}"} if token else {}

    def listing(self) -> Listing:
        """Files as of the commit that the revision names now. Where there are safetensors, no other formats."""
        info = self._info()
        try:
            entries = tuple(map(_entry, info.siblings or []))
            if not re.fullmatch(r"[0-9A-Za-z._-]+", info.sha or ""):
                raise ValueError("no commit")
        except (ValueError, TypeError, AttributeError) as error:
            raise self._no_hub() from error
        if any(entry.path.endswith(".safetensors") for entry in entries):
            entries = tuple(entry for entry in entries if not entry.path.endswith(_OTHER_FORMATS))
        entries = tuple(entry for entry in entries if entry.path != FACTS)
        if not entries:
            raise SourceError("SourceNotFound", f"hf://{self._repo} holds no file at {self._revision}.")
        self._revision = info.sha or ""
        return Listing(self._revision, entries)

    @contextmanager
    def open(self, entry: Entry, start: int) -> Iterator[Body]:
        url = f"{self._endpoint}/{self._repo}/resolve/{quote(self._revision, safe='')}/{quote(entry.path)}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self._connections.request("GET", url, headers, self._secret)
        judge(response, url, self._credentials.advice("HF_TOKEN"))
        with body(response, url, start) as found:
            yield found

    def _info(self) -> "ModelInfo":
        os.environ.pop("HF_HUB_OFFLINE", None)  # the image sets it, for the server; the library reads it when imported
        import httpx2
        from huggingface_hub import HfApi, set_client_factory
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

        set_client_factory(lambda: httpx2.Client(transport=_transport(self._connections, self._secret)))
        what = f"hf://{self._repo}@{self._revision}"
        try:
            return HfApi(self._endpoint, token=False).model_info(
                self._repo, revision=self._revision, files_metadata=True
            )
        except RepositoryNotFoundError as error:  # the hub says so for private ones too, to whoever may not see them
            if self._secret and error.response.status_code == 404:
                raise SourceError("SourceNotFound", f"{what}: there is no such repository. Correct the URI.") from error
            raise SourceError(
                "SourceUnauthorized",
                f"{what}: there is no such repository, or it is private. {self._credentials.advice('HF_TOKEN')}",
            ) from error
        except GatedRepoError as error:
            raise SourceError(
                "SourceUnauthorized",
                f"{what} is gated: ask for access on its page, with the account that the token belongs to."
                f" {self._credentials.advice('HF_TOKEN')}",
            ) from error
        except HfHubHTTPError as error:
            raise _refusal(error.response, what, self._credentials) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._no_hub() from error

    def _no_hub(self) -> SourceError:
        return SourceError(
            "SourceInvalid", f"{self._endpoint} does not answer as a hub does. Correct HF_ENDPOINT or the mirror."
        )


def _entry(file: "RepoSibling") -> Entry:
    if file.lfs:
        return Entry(file.rfilename, file.size, file.lfs.sha256, sha256=file.lfs.sha256)
    return Entry(file.rfilename, file.size, file.blob_id or "")


def _refusal(response: "httpx2.Response", what: str, credentials: Credentials) -> SourceError:
    status = response.status_code
    if status in (401, 403):
        return SourceError("SourceUnauthorized", f"{what}: {status}. {credentials.advice('HF_TOKEN')}")
    if status == 404:
        return SourceError("SourceNotFound", f"{what}: no such revision. Correct what follows the @.")
    if passes(status):
        return SourceError(
            "SourceUnavailable",
            f"{what}: the hub answers {status}. It is tried again.",
            retry_after=wished(response.headers.get("Retry-After", "")),
        )
    return SourceError("SourceInvalid", f"{what}: the hub answers {status}. Correct the URI.")


def _transport(connections: Connections, secret: dict[str, str]) -> "httpx2.BaseTransport":
    """What carries the library's requests: our connections."""
    import httpx2

    class Transport(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            url = str(request.url)
            if "/api/models/" not in request.url.path:
                # The library also fetches a list of tools, to tell the hub which one calls: nobody needs that here.
                return httpx2.Response(404, request=request)
            sent = {name: request.headers[name] for name in ("user-agent", "accept") if name in request.headers}
            response = connections.request(request.method, url, sent, secret)
            content = connections.answer(response, shown(url))
            told = {name: value for name, value in response.headers.items() if name.lower() != "transfer-encoding"}
            return httpx2.Response(response.status, headers=told, content=content, request=request)

    return Transport()
