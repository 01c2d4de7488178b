"""Where files come from. Each scheme has one rule with one sentence; what the rule takes, the fetcher takes."""

from typing import Annotated, Literal, Self, get_args

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from forge_operator.api.fields import Api, matches, matches_by_prefix

Scheme = Literal["pvc", "hf", "s3", "https", "oci"]

# Segments of a path may not begin with a dot, so `..` cannot occur, and have no `$`.
_PATH = r"(/[A-Za-z0-9_@+=,-][A-Za-z0-9._@+=,-]*)*/?"
_HOST = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?(:[0-9]{1,5})?"
_SEGMENTS = "letters, digits and ._@+=,- without '..', '//', '$' or segments that begin with a dot"

_URI: dict[str, tuple[str, str]] = {
    "": (
        r"^(pvc|hf|s3|https|oci)://.+$",
        "must be pvc://CLAIM/path, hf://org/repo, s3://bucket/prefix, https://host/archive or oci://host/repo:tag",
    ),
    # A claim's name is a DNS subdomain.
    "pvc:": (
        rf"^pvc://[a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?{_PATH}$",
        "must be pvc://CLAIM/path/in/the/volume: the name of a PersistentVolumeClaim of this namespace, "
        f"then a path of {_SEGMENTS}",
    ),
    "hf:": (
        r"^hf://[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
        r"(@[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*)?$",
        "must be hf://org/repo or hf://org/repo@revision: a repository of a Hugging Face hub, "
        "and a branch, tag or commit of it",
    ),
    "s3:": (
        rf"^s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]{_PATH}$",
        f"must be s3://bucket/prefix: the name of a bucket, then a prefix of {_SEGMENTS}",
    ),
    "https:": (
        rf"^https://{_HOST}(/[A-Za-z0-9_@+=,%~-][A-Za-z0-9._@+=,%~-]*)+$",
        "must be https://host/path/of/an/archive, without user, query or fragment: secrets belong into secretRef",
    ),
    "oci:": (
        rf"^oci://{_HOST}(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)+(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}|@sha256:[0-9a-f]{{64}})$",
        "must be oci://host/repository:tag or oci://host/repository@sha256:DIGEST",
    ),
}
_REVISION = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
_REVISION_MESSAGE = "must be a branch, tag or commit: letters, digits and ._-/"
_SHA256 = r"^[0-9a-f]{64}$"
_SHA256_MESSAGE = "must be 64 hexadecimal digits in lower case, without 'sha256:'"
_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_NAME_MESSAGE = "must be the name of a Secret of this namespace: lower-case letters, digits, dashes and dots"

SourceUri = Annotated[str, StringConstraints(min_length=7, max_length=1024), *matches_by_prefix(_URI)]
Revision = Annotated[str, StringConstraints(min_length=1, max_length=200), *matches(_REVISION, _REVISION_MESSAGE)]
Sha256 = Annotated[str, StringConstraints(min_length=64, max_length=64), *matches(_SHA256, _SHA256_MESSAGE)]
SecretName = Annotated[str, StringConstraints(min_length=1, max_length=253), *matches(_NAME, _NAME_MESSAGE)]


class SecretReference(Api):
    """A Secret of the model's own namespace. The operator never reads it; the kubelet mounts it."""

    name: SecretName = Field(description="Name of the Secret.")


_VERSIONLESS = "revision is for hf://; an oci:// uri names its version itself, other sources have none: remove it"
_TWICE = "the uri names a revision already, after '@': keep one of the two"
_UNPINNED = "files on a claim are not fetched, so nothing compares them with sha256: remove it"
_OPEN_TO_ALL = "a claim needs no credentials: remove secretRef"


def _rule(field: str, unless: str, message: str) -> JsonValue:
    return {"rule": f"!has(self.{field}) || {unless}", "message": message, "fieldPath": f".{field}"}


_SOURCE_RULES: list[JsonValue] = [
    _rule("revision", "self.uri.startsWith('hf:')", _VERSIONLESS),
    _rule("revision", "!self.uri.startsWith('hf:') || !self.uri.contains('@')", _TWICE),
    _rule("sha256", "!self.uri.startsWith('pvc:')", _UNPINNED),
    _rule("secretRef", "!self.uri.startsWith('pvc:')", _OPEN_TO_ALL),
]


class Source(Api):
    """A folder of files: on a PersistentVolumeClaim of this namespace, or fetched when a pod starts."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": _SOURCE_RULES})

    uri: SourceUri = Field(
        description="Where the files are: pvc://CLAIM/path on a PersistentVolumeClaim of this namespace, or, where the"
        " administrator allows it, hf://org/repo[@revision], s3://bucket/prefix, https://host/archive.tar.gz or"
        " oci://host/repository:tag."
    )
    revision: Revision | None = Field(
        default=None,
        description="Of hf://: a branch, tag or commit; absent: main. Another one rolls new pods out; a branch that"
        " moves does not. status.checkpoint.revision tells the commit that was fetched.",
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="What is fetched must have this digest: of the archive, or of the content, as"
        " status.checkpoint.contentDigest tells it.",
    )
    secret_ref: SecretReference | None = Field(
        default=None, description="Credentials for the source: a Secret of this namespace."
    )

    @property
    def scheme(self) -> Scheme:
        """What stands before `://`."""
        return next(scheme for scheme in get_args(Scheme) if self.uri.startswith(f"{scheme}:"))

    @property
    def is_mounted(self) -> bool:
        """Whether the files are on a claim, so that nothing is fetched."""
        return self.scheme == "pvc"

    @property
    def claim(self) -> str | None:
        """Name of the PersistentVolumeClaim; None when the source is fetched."""
        return self.uri.removeprefix("pvc://").partition("/")[0] if self.is_mounted else None

    @property
    def path(self) -> str:
        """Folder inside the claim's volume, without slashes at its ends; empty for the volume's root."""
        return self.uri.removeprefix("pvc://").partition("/")[2].strip("/")

    @property
    def host(self) -> str | None:
        """Name of the machine that is asked; None for a claim, and for s3, whose endpoint is not in the URI."""
        if self.scheme == "hf":
            return "huggingface.co"
        return self._place()[0] if self.scheme in ("https", "oci") else None

    @property
    def port(self) -> int:
        """The host's TCP port."""
        return int(self._place()[2] or 443) if self.scheme in ("https", "oci") else 443

    def _place(self) -> tuple[str, str, str]:
        return self.uri.partition("://")[2].partition("/")[0].partition(":")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = {
            _VERSIONLESS: self.revision and self.scheme != "hf",
            _TWICE: self.revision and self.scheme == "hf" and "@" in self.uri,
            _UNPINNED: self.sha256 and self.is_mounted,
            _OPEN_TO_ALL: self.secret_ref and self.is_mounted,
        }
        for message, applies in faults.items():
            if applies:
                raise ValueError(message)
        return self
