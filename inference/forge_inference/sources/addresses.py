"""URIs of sources, taken apart."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from forge_inference.sources.errors import SourceError

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Uri:
    """`whole` may hold a secret in its query; `shown` is for people. `rest` is what follows the scheme."""

    whole: str
    scheme: str
    rest: str

    @property
    def shown(self) -> str:
        """Without query and fragment."""
        return self.whole.partition("?")[0].partition("#")[0]


def parse(text: str) -> Uri:
    """Raises SourceError (SourceInvalid) for what is no URI, or holds credentials."""
    found = _SCHEME.fullmatch(text)
    if found is None or any(ord(letter) < 33 or letter in "\\\x7f" for letter in text):
        raise SourceError(
            "SourceInvalid", "This is not a URI. Write SCHEME://WHERE without spaces, e.g. hf://org/model@main."
        )
    scheme = found[1].lower()
    if scheme == "pvc":
        raise SourceError("SourceInvalid", "pvc:// is a volume of the namespace: it is mounted, not downloaded.")
    if scheme in ("https", "s3", "oci"):
        try:
            parts = urlsplit(f"{scheme}://{found[2]}")
            _ = parts.port
        except ValueError as error:
            raise SourceError("SourceInvalid", f"{scheme}:// with a malformed host or port: {error}.") from error
        if not parts.hostname:
            raise SourceError("SourceInvalid", f"{scheme}:// names no host.")
        if parts.username is not None:
            raise SourceError("SourceInvalid", "The URI holds credentials. Take them out and put them into the Secret.")
    return Uri(f"{scheme}://{found[2]}", scheme, found[2])
