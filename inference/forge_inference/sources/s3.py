"""s3://bucket/prefix: the objects below a prefix, at Amazon or any endpoint that speaks S3."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from forge_inference.sources.addresses import Uri
from forge_inference.sources.connections import Connections, body, failure
from forge_inference.sources.contract import FACTS, MOST_FILES, Body, Entry, Listing
from forge_inference.sources.credentials import Credentials
from forge_inference.sources.errors import SourceError, passes

_AMAZON = "https://s3.amazonaws.com"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# minio's own, and what its parser says of answers that are not S3's: ParseError, ValueError.
_FAILURES = (MinioException, HTTPError, OSError, ParseError, ValueError)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class S3:
    """One prefix of one bucket. AWS_ENDPOINT_URL and AWS_REGION come from the Secret, like the keys."""

    def __init__(self, uri: Uri, connections: Connections, credentials: Credentials) -> None:
        bucket, _, prefix = uri.rest.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise SourceError(
                "SourceInvalid", f"{uri.shown}: {bucket} is no name of a bucket. Write s3://bucket/prefix."
            )
        self._bucket, self._prefix, self._shown = bucket, prefix.rstrip("/"), uri.shown
        self._credentials = credentials
        if credentials.are_missing:  # the endpoint with them: Amazon is not what was meant
            raise SourceError(
                "SourceUnauthorized", f"{uri.shown}: the Secret is not there, or empty. {credentials.advice(*_KEYS)}"
            )
        endpoint = credentials.get("AWS_ENDPOINT_URL") or _AMAZON
        host = urlsplit(endpoint).hostname or ""
        place = urlsplit(connections.policy.mirror(host) or endpoint)
        if place.scheme not in ("http", "https") or not place.hostname or place.path.strip("/"):
            raise SourceError(
                "SourceInvalid",
                f"The S3 endpoint must be http(s)://HOST[:PORT] and nothing more, for {host or 'it'}:"
                " correct AWS_ENDPOINT_URL in the Secret, or the administrator's mirror.",
            )
        connections.policy.demand_host(place.hostname, why=" (AWS_ENDPOINT_URL)")
        self.asked = ""
        self.place = f"{endpoint.rstrip('/')}/{bucket}/{self._prefix}"
        key, secret = credentials.together(*_KEYS) or (None, None)
        # Elsewhere than at Amazon the region is a mere word in the signature; asking for it needs a permission.
        region = credentials.get("AWS_REGION") or (None if endpoint == _AMAZON else "us-east-1")
        self._client = Minio(
            place.netloc,
            access_key=key,
            secret_key=secret,
            session_token=credentials.get("AWS_SESSION_TOKEN") or None,
            secure=place.scheme == "https",
            region=region,
            http_client=connections.pool,
        )
        self._client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call] # the bucket stays out of the host, which the policy names

    def listing(self) -> Listing:
        """All objects below the prefix."""
        below = f"{self._prefix}/" if self._prefix else ""
        entries = []
        try:
            for item in self._client.list_objects(self._bucket, prefix=below or None, recursive=True):
                name = (item.object_name or "").removeprefix(below)
                if name and not name.endswith("/") and name != FACTS:
                    entries.append(Entry(name, item.size or 0, item.etag or ""))
                if len(entries) > MOST_FILES:
                    raise SourceError(
                        "SourceTooLarge", f"{self._shown} has more than {MOST_FILES} objects. Name one run's prefix."
                    )
        except _FAILURES as error:
            raise self._refusal(error) from error
        if not entries:
            raise SourceError(
                "SourceNotFound", f"{self._shown}: there is no object below this prefix. Correct the URI."
            )
        return Listing("", tuple(entries))

    @contextmanager
    def open(self, entry: Entry, start: int) -> Iterator[Body]:
        key = f"{self._prefix}/{entry.path}" if self._prefix else entry.path
        # An object that is written anew meanwhile is an error, rather than a mixture of two.
        unchanged: dict[str, str | list[str] | tuple[str]] | None = (
            {"If-Match": f'"{entry.version}"'} if entry.version else None
        )
        try:
            response = self._client.get_object(self._bucket, key, offset=start, request_headers=unchanged)
        except _FAILURES as error:
            raise self._refusal(error) from error
        with body(response, self._shown, start) as found:
            yield found

    def _refusal(self, error: Exception) -> SourceError:
        if isinstance(error, S3Error):
            code = error.code or ""
            status = error.response.status
        elif isinstance(error, ServerError):
            code, status = "", error.status_code
        elif isinstance(error, InvalidResponseError | ParseError | ValueError):
            if re.search(r"Response code: 5\d\d", str(error)):
                return SourceError(
                    "SourceUnavailable", f"{self._shown}: a proxy answers for the server. It is tried again."
                )
            return SourceError(
                "SourceInvalid", f"{self._shown}: what answers is no S3 server. Correct AWS_ENDPOINT_URL in the Secret."
            )
        else:
            return failure(error, self._shown)
        said = f"{self._shown}: the server answers {code or status}."
        if status in (401, 403) or code == "XAdminUserNotFound":  # versitygw's word for an unknown key
            return SourceError("SourceUnauthorized", f"{said} {self._credentials.advice(*_KEYS)}")
        if status == 404:
            return SourceError("SourceNotFound", f"{said} Correct the URI.")
        if status == 412:
            return SourceError(
                "SourceUnavailable",
                f"{self._shown} was written to during the download. It is read again.",
                passing=False,
            )
        if (status in (301, 307, 400) and "Region" in code + str(error)) or code == "PermanentRedirect":
            return SourceError("SourceInvalid", f"{said} Add AWS_REGION, the bucket's region, to the Secret.")
        if passes(status):
            return SourceError("SourceUnavailable", f"{said} It is tried again; if it stays so, ask who runs it.")
        return SourceError("SourceInvalid", f"{said} Correct the URI or the Secret.")
