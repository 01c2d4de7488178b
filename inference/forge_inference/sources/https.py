"""https://host/path: one archive, tar or zip."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from forge_inference.sources.addresses import Uri
from forge_inference.sources.connections import Connections, body, judge
from forge_inference.sources.contract import Body, Entry, Listing
from forge_inference.sources.credentials import Credentials
from forge_inference.sources.errors import SourceError


class Https:
    """One file at one URL. `token`, or `username` and `password`, come from the Secret and go to this host alone."""

    def __init__(self, uri: Uri, connections: Connections, credentials: Credentials) -> None:
        self._url = self.place = uri.whole.partition("#")[0]
        self.asked = ""
        self._connections = connections
        token, pair = credentials.get("token"), credentials.together("username", "password")
        if token:
            self._secret = {"Authorization": f"Bearer {token}"}
            self._advice = credentials.advice("token")
        else:
            self._secret = {"Authorization": f"Basic {b64encode(':'.join(pair).encode()).decode()}"} if pair else {}
            self._advice = credentials.advice("username", "password")

    def listing(self) -> Listing:
        """Size and version, by asking for one byte: signed URLs are often for GET only, so HEAD would not do."""
        response = self._connections.request("GET", self._url, {"Range": "bytes=0-0"}, self._secret)
        judge(response, self._url, self._advice)
        response.close()
        if response.status == 206:
            size = response.headers.get("Content-Range", "").rpartition("/")[2]
        else:
            size = response.headers.get("Content-Length", "")
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        return Listing(
            "", (Entry("archive", int(size) if size.isdecimal() else None, version, archive=True, top=True),)
        )

    @contextmanager
    def open(self, entry: Entry, start: int) -> Iterator[Body]:
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and entry.version and not entry.version.startswith("W/"):
            headers["If-Range"] = entry.version  # another version is sent whole, from its beginning
        response = self._connections.request("GET", self._url, headers, self._secret)
        if response.status == 416:
            response.close()
            response = self._connections.request("GET", self._url, {}, self._secret)
        judge(response, self._url, self._advice)
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if version != entry.version:
            response.close()
            raise SourceError(
                "SourceUnavailable", "The archive was replaced during the download. It is read again.", passing=False
            )
        with body(response, self._url, start) as found:
            yield found
