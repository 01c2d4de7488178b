"""Who may speak for users: what the API server's administrator wrote into kube-system.

The API server proves itself with a certificate of its own authority for this purpose, and tells in headers whom it
speaks for. Without that proof the headers are anybody's words.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
_AUTHENTICATED = "system:authenticated"


class NoTrust(Exception):
    """The API server has not said whom to trust; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class User:
    """For whom a request is made."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """`authorities` as PEM; `names` that a certificate may have, empty: any; and the names of the headers."""

    authorities: str
    names: frozenset[str]
    user_headers: tuple[str, ...]
    uid_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def read(cls, data: Mapping[str, str]) -> Self:
        """From the ConfigMap's data. Raises NoTrust."""
        authorities = data.get("requestheader-client-ca-file", "")
        if "BEGIN CERTIFICATE" not in authorities:
            raise NoTrust(
                f"the ConfigMap {NAMESPACE}/{NAME} has no requestheader-client-ca-file: this API server was started"
                " without --requestheader-client-ca-file, so that it cannot say for whom it asks"
            )
        return cls(
            authorities,
            frozenset(_words(data, "requestheader-allowed-names")),
            _words(data, "requestheader-username-headers"),
            _words(data, "requestheader-uid-headers"),
            _words(data, "requestheader-group-headers"),
            _words(data, "requestheader-extra-headers-prefix"),
        )

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a certificate that its authority vouches for, as `ssl` tells it, is of one who speaks for users."""
        if not certificate:
            return False
        subject = [pair for part in certificate.get("subject", ()) for pair in part]
        return not self.names or any(key == "commonName" and value in self.names for key, value in subject)

    def user(self, headers: Iterable[tuple[str, str]]) -> User | None:
        """Whom the headers name; None: nobody."""
        found = [(name.lower(), value) for name, value in headers]
        if not (name := _first(found, self.user_headers)):
            return None
        groups = [value for header in self.group_headers for key, value in found if key == header.lower()]
        extra: dict[str, tuple[str, ...]] = {}
        for prefix in self.extra_prefixes:
            for key, value in found:
                if key.startswith(prefix.lower()):
                    about = key.removeprefix(prefix.lower())
                    extra[about] = (*extra.get(about, ()), value)
        # Kubernetes' own servers add the group: who came through the API server was authenticated there.
        return User(
            name,
            _first(found, self.uid_headers),
            tuple(dict.fromkeys([*groups, _AUTHENTICATED])),
            tuple(extra.items()),
        )


def _words(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    try:
        words = json.loads(data.get(key) or "[]")
    except ValueError as error:
        raise NoTrust(f"the ConfigMap {NAMESPACE}/{NAME}: {key} is not JSON: {error}") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise NoTrust(f"the ConfigMap {NAMESPACE}/{NAME}: {key} is not a list of names")
    return tuple(words)


def _first(headers: Iterable[tuple[str, str]], names: Iterable[str]) -> str:
    found = list(headers)
    return next((value for name in names for key, value in found if key == name.lower() and value), "")
