"""oci://host/repository[:tag|@digest]: an artefact of a registry, by the OCI distribution API.

Layers that are titled are files; others are tar archives, unpacked where they belong.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from forge_inference.sources.addresses import Uri
from forge_inference.sources.connections import Connections, body, judge, shown
from forge_inference.sources.contract import FACTS, Body, Entry, Listing
from forge_inference.sources.credentials import DOCKER, Credentials
from forge_inference.sources.errors import SourceError

_REST = re.compile(
    r"(?P<host>[^/]+)/(?P<name>[a-z0-9]+([._/-]+[a-z0-9]+)*)(:(?P<tag>[\w][\w.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_TITLE = "org.opencontainers.image.title"
_UNPACK = "io.deis.oras.content.unpack"  # what ORAS writes beside the title of a folder that it packed
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Oci:
    """One artefact. `.dockerconfigjson` comes from the Secret, as for pulling images."""

    def __init__(self, uri: Uri, connections: Connections, credentials: Credentials) -> None:
        found = _REST.fullmatch(uri.rest)
        if found is None:
            raise SourceError("SourceInvalid", f"{uri.shown}: write oci://host/repository:tag or …@sha256:digest.")
        self._shown, self._name, self._asked = uri.shown, found["name"], found["digest"] or found["tag"] or "latest"
        self._connections, self._credentials = connections, credentials
        host = _registry(found["host"])
        mirror = connections.policy.mirror(found["host"].partition(":")[0])
        place = urlsplit(mirror or f"https://{host}")
        # A mirror's path is a prefix of its repositories, as in proxy projects of registries.
        prefix = f"{place.path.strip('/')}/" if place.path.strip("/") else ""
        self._base = f"{place.scheme}://{place.netloc}/v2/{prefix}{self._name}"
        self.asked = ""  # the tag is part of the place
        self.place = f"{host}/{self._name}:{self._asked}"
        self._basic = _login(credentials, host)
        self._secret: dict[str, str] = {}
        self._challenge = ""

    def listing(self) -> Listing:
        """The layers of the manifest that the tag names now."""
        url = f"{self._base}/manifests/{self._asked}"
        response = self._get(url, {"Accept": f"{_MANIFEST}, {_DOCKER_MANIFEST}"})
        raw = self._connections.answer(response, url)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if self._asked.startswith("sha256:") and digest != self._asked:
            raise SourceError("SourceInvalid", f"{self._shown}: the registry answers with another manifest, {digest}.")
        try:
            manifest = json.loads(raw)
            if "layers" not in manifest:
                raise SourceError("SourceInvalid", f"{self._shown} is an index: name one of its manifests by digest.")
            entries = tuple(_entry(layer) for layer in manifest["layers"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SourceError("SourceInvalid", f"{self._shown}: its manifest is malformed. Push it again.") from error
        return Listing(digest, tuple(entry for entry in entries if entry.path != FACTS))

    @contextmanager
    def open(self, entry: Entry, start: int) -> Iterator[Body]:
        url = f"{self._base}/blobs/{entry.version}"
        response = self._get(url, {"Range": f"bytes={start}-"} if start else {})
        with body(response, url, start) as found:
            yield found

    def _get(self, url: str, headers: dict[str, str]) -> Any:
        response = self._connections.request("GET", url, headers, self._secret)
        # The first challenge, to the question for the manifest, is the registry's. One to a blob may come from
        # wherever that was redirected to, which must not choose who gets the login; tokens are renewed by the first.
        self._challenge = self._challenge or response.headers.get("WWW-Authenticate", "")
        if response.status == 401 and self._challenge:
            response.close()
            self._secret = self._answer(self._challenge)
            response = self._connections.request("GET", url, headers, self._secret)
        judge(response, url, self._credentials.advice(DOCKER))
        return response

    def _answer(self, challenge: str) -> dict[str, str]:
        """Headers that a registry asks for: the login itself, or a token from the service that it names."""
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.pop("realm", "")
        if kind.lower() != "bearer" or urlsplit(realm).scheme not in ("https", urlsplit(self._base).scheme):
            raise SourceError(
                "SourceInvalid", f"{shown(self._base)} asks for a login that is neither Basic nor Bearer."
            )
        asked.setdefault("scope", f"repository:{self._name}:pull")
        url = f"{realm}?{urlencode({key: asked[key] for key in ('service', 'scope') if key in asked})}"
        secret = {"Authorization": f"Basic {self._basic}"} if self._basic else {}
        response = self._connections.request("GET", url, {}, secret)
        judge(response, realm, self._credentials.advice(DOCKER))
        try:
            found = json.loads(self._connections.answer(response, realm))
            return {"Authorization": f"Bearer {found.get('token') or found['access_token']}"}
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise SourceError("SourceInvalid", f"{shown(realm)} gives no token, though it is named for it.") from error


def _entry(layer: dict[str, Any]) -> Entry:
    digest, kind, notes = str(layer["digest"]), str(layer["mediaType"]), layer.get("annotations") or {}
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SourceError("SourceInvalid", f"A layer has the digest {digest[:80]}; only sha256 is known.")
    title: Any = notes.get(_TITLE)
    packed = notes.get(_UNPACK) == "true" or (title is None and "tar" in kind)
    if not packed and title is None:
        raise SourceError(
            "SourceInvalid",
            f"A layer of type {kind[:80]} has no title, so it has no file name. Push it with `oras push`.",
        )
    hexadecimal = digest.removeprefix("sha256:")
    path = f"layer-{hexadecimal[:12]}" if packed else title
    return Entry(path, layer["size"], digest, sha256=hexadecimal, archive=packed)


def _registry(host: str) -> str:
    """Docker Hub has a name for people, one in pull secrets, and one that answers."""
    return "registry-1.docker.io" if host in ("docker.io", "index.docker.io") else host


def _login(credentials: Credentials, host: str) -> str:
    """`user:password` in base64, as the pull secret holds it for this host; nothing where it does not."""
    text = credentials.get(DOCKER)
    if not text:
        return ""
    try:
        logins = json.loads(text)["auths"]
        for place, login in logins.items():
            if _registry(urlsplit(place).netloc if "://" in place else place.partition("/")[0]) == host:
                pair = login.get("auth") or ""
                if not pair:
                    return b64encode(f"{login['username']}:{login['password']}".encode()).decode()
                b64decode(pair, validate=True)
                return str(pair)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(
            "SourceUnauthorized",
            f"{DOCKER} in the Secret is malformed. Make it with `kubectl create secret docker-registry`.",
        ) from error
    return ""
