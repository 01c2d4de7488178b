"""Secrets as the kubelet mounts them: one file for each key. They are read when needed and never told."""

from pathlib import Path

from forge_inference.sources.errors import SourceError

DOCKER = ".dockerconfigjson"
_ROLE = "the Secret with the credentials of this source (secretRef of the checkpoint or base model)"


class Credentials:
    """The keys of one folder; without a folder there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def are_missing(self) -> bool:
        """Whether the Secret that was named is not there: the kubelet then mounts a folder without keys."""
        # Its own entries, such as `..data`, are there all the same.
        return self._folder is not None and all(path.name.startswith("..") for path in self._folder.glob("*"))

    def get(self, key: str) -> str:
        """Its value, or nothing."""
        path = self.file(key)
        if path is None:
            return ""
        try:
            value = path.read_text().strip()
        except UnicodeDecodeError:
            value = "\0"
        if key != DOCKER and not (value.isprintable() and (value.isascii() or key in ("username", "password"))):
            raise SourceError("SourceUnauthorized", f"{key} in {_ROLE} holds a line break or the like. Make it anew.")
        return value

    def file(self, key: str) -> Path | None:
        """Where a key lies, for those that are files by nature: ca.crt."""
        if self._folder is None:
            return None
        path = self._folder / key
        try:
            return path if path.is_file() and path.stat().st_size else None
        except OSError as error:
            raise SourceError("SourceUnauthorized", f"{path} cannot be read: {error.strerror}.") from error

    def together(self, *keys: str) -> tuple[str, ...] | None:
        """All of some keys that only make sense together, or None where there is none of them.

        Raises SourceError (SourceUnauthorized) naming what is missing.
        """
        values = tuple(self.get(key) for key in keys)
        if not any(values):
            return None
        missing = [key for key, value in zip(keys, values, strict=True) if not value]
        if missing:
            raise SourceError("SourceUnauthorized", f"Add {' and '.join(missing)} to {_ROLE}: it is not there.")
        return values

    def advice(self, *keys: str) -> str:
        """What to do when a server asks for credentials, or does not take these."""
        missing = [key for key in keys if not self.get(key)]
        if len(missing) == len(keys):
            return f"It wants credentials: add {' and '.join(keys)} to {_ROLE}."
        return f"It does not accept {' and '.join(keys)}: correct them in {_ROLE}, or ask for access."
