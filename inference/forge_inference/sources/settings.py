"""What is fetched, from where and within which limits: FORGE_FETCH_* environment, or flags of the same names."""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, CliPositionalArg, SettingsConfigDict, SettingsError

from forge_inference.sources.policy import Policy
from forge_inference.sources.publish import made_by_us

PROGRAM = "python -m forge_inference.sources"


class InvalidSettings(Exception):
    """A setting is missing or wrong; the message names its flag and its variable."""


class Settings(BaseSettings):
    """Fetch a checkpoint or a base model into a folder, which appears whole or not at all.

    The environment may hold each setting as FORGE_FETCH_NAME, e.g. FORGE_FETCH_URI; a flag wins.
    """

    model_config = SettingsConfigDict(
        env_prefix="FORGE_FETCH_",
        env_ignore_empty=True,
        frozen=True,
        cli_prog_name=f"{PROGRAM} fetch",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
    )

    uri: CliPositionalArg[str] = Field(
        "", description="hf://org/repo[@revision], s3://bucket/prefix, https://host/archive, oci://host/repository:tag"
    )
    to: Path = Field(description="the folder to make; below a volume's root, not the root itself")
    revision: str = Field("", description="of hf://: branch, tag or commit; default: what follows @, else main")
    sha256: Annotated[str, Field(pattern=r"^(sha256:)?[0-9a-f]{64}$|^$")] = Field(
        "", description="of the content (docs/guides/sources.md), or of the archive: anything else is refused"
    )
    cache: Path | None = Field(None, description="folder that models and starts share; default: beside --to")
    credentials: Path | None = Field(None, description="folder with a file for each key of a Secret")
    schemes: str = Field("hf,s3,https,oci", description="those that are allowed, with commas")
    hosts: str = Field("*", description="those that are allowed, with commas; *.example.org is all below it")
    mirrors: dict[str, str] = Field({}, description='JSON: {"huggingface.co": "https://mirror.example.org/hf"}')
    offline: bool = Field(False, description="take all from the cache, ask nobody")
    max_bytes: int = Field(200 * 10**9, gt=0, description="of the files, and of what archives unpack to")
    timeout_seconds: float = Field(3600, gt=0, description="for all of it; what was downloaded until then is kept")
    ca_file: Path | None = Field(None, description="PEM certificates to trust besides the system's")

    @field_validator("mirrors")
    @classmethod
    def _are_urls(cls, mirrors: dict[str, str]) -> dict[str, str]:
        for host, url in mirrors.items():
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "/" in host:
                raise ValueError(f"{host}: {url} is not a base URL, http(s)://HOST[:PORT][/PATH]")
        return {host.lower(): url for host, url in mirrors.items()}

    @field_validator("to")
    @classmethod
    def _can_be_made(cls, to: Path) -> Path:
        to = Path(os.path.abspath(to))
        if os.path.ismount(to):
            raise ValueError(f"{to} is a volume's root, which cannot appear at once; name a folder below it")
        if not made_by_us(to):
            raise ValueError(f"{to} holds files that were not fetched; name another folder, or empty this one")
        return to

    @model_validator(mode="after")
    def _names_a_source(self) -> "Settings":
        # Required, and yet with a default: else the flags' parser wants it, though the environment has it.
        if not self.uri:
            raise ValueError("URI (FORGE_FETCH_URI): missing; say what to fetch, e.g. hf://org/repo")
        return self

    @property
    def policy(self) -> Policy:
        """What the administrator allows."""
        return Policy(_words(self.schemes), _words(self.hosts), self.mirrors)

    @property
    def store(self) -> Path:
        """Where downloads are kept: without a cache beside the folder, so that a restart continues them."""
        return self.cache or self.to.parent / f".{self.to.name}.downloads"


def read(words: list[str]) -> Settings:
    """From flags and environment; a flag wins. Raises InvalidSettings; SystemExit for --help and unknown flags."""
    try:
        return Settings(_cli_parse_args=words)  # type: ignore[call-arg]
    except ValidationError as error:
        raise InvalidSettings("; ".join(_sentence(e["loc"], e["msg"]) for e in error.errors())) from error
    except SettingsError as error:  # the only setting that is JSON
        raise InvalidSettings('--mirrors (FORGE_FETCH_MIRRORS): not JSON of the form {"HOST": "URL"}') from error


def _sentence(place: tuple[int | str, ...], problem: str) -> str:
    if not place:  # the message names the setting
        return problem.removeprefix("Value error, ")
    name = str(place[0])
    return f"--{name.replace('_', '-')} (FORGE_FETCH_{name.upper()}): {problem.removeprefix('Value error, ')}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
