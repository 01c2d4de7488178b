"""The administrator's choices, mounted by the chart as one YAML file. See docs/architecture.md."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from forge_operator.api.source import Scheme
from forge_operator.errors import InvalidSettings

_QUANTITY = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]  # powers of 1000; the first is 10^-9
_BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]  # powers of 1024


def canonical(quantity: object) -> str:
    """Spell a Kubernetes quantity as the API server stores it: 0.5 -> 500m, 1024Mi -> 1Gi.

    Drift is found by comparing what we want with what is stored, so both must be spelt alike.
    Raises ValueError when it is not a quantity.
    """
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None or isinstance(quantity, bool):
        raise ValueError(f"{quantity!r} is not a quantity: write it like 500m, 2 or 4Gi")
    number, suffix = Decimal(match[1]), match[2] or ""
    binary = suffix in _BINARY[1:]
    units, base = (_BINARY, 1024) if binary else (_DECIMAL, 1000)
    smallest = number * base ** units.index(suffix)  # bytes, or billionths
    if smallest != int(smallest):
        raise ValueError(f"{quantity!r} is finer than Kubernetes counts")
    if binary and smallest < base:
        return canonical(int(smallest))  # below 1Ki the API server drops the binary unit
    if smallest == 0:
        return "0"
    power = max(power for power in range(len(units)) if int(smallest) % base**power == 0)
    return f"{int(smallest) // base**power}{units[power]}"


def amount(quantity: object) -> float:
    """500m -> 0.5. Raises ValueError when it is not a quantity."""
    match = _QUANTITY.fullmatch(canonical(quantity))
    number, suffix = (match[1], match[2] or "") if match else ("0", "")
    units, base, ones = (_BINARY, 1024, 0) if suffix in _BINARY[1:] else (_DECIMAL, 1000, _DECIMAL.index(""))
    return float(Decimal(number) * Decimal(base) ** (units.index(suffix) - ones))


def _bytes(quantity: object) -> int:
    """1Gi -> 1073741824."""
    match = _QUANTITY.fullmatch(canonical(quantity))
    suffix = match[2] or "" if match else "n"
    if match is None or suffix in ("n", "u", "m"):
        raise ValueError(f"{quantity!r} is not a number of bytes: write it like 64Gi")
    units, base = (_BINARY, 1024) if suffix in _BINARY[1:] else (_DECIMAL[3:], 1000)
    return int(int(match[1]) * Decimal(base) ** units.index(suffix))


Quantity = Annotated[str, BeforeValidator(canonical)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=2**20, le=2**50)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Accelerator(_Strict):
    """The extended resource that a pod asks for, such as nvidia.com/gpu."""

    resource: str = Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    count: int = Field(default=1, ge=1, le=16)


class Profile(_Strict):
    """An accelerator shape that the administrator offers under a name."""

    description: str = ""
    accelerator: Accelerator | None = None
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    runtime_class_name: str = ""


class LeaderElection(_Strict):
    """Which Lease decides who reconciles."""

    enabled: bool = True
    lease_name: str = "scientificllm-forge"
    namespace: str = "forge-system"


Port = Annotated[int, Field(ge=1, le=65535)]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
# A name, all names below a domain (`*.example.org`), or all there are.
HostPattern = Annotated[str, StringConstraints(pattern=r"^(\*|(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$", max_length=253)]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^(https?://[^\s@?#]+)?$", max_length=1024)]  # or none
MirrorUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@?#]+$", max_length=1024)]


class SourceCache(_Strict):
    """Where fetched files are kept for the next pod."""

    claim: str = ""


class Sources(_Strict):
    """Where models may come from. By default from claims alone, so that no pod has egress."""

    schemes: list[Scheme] = ["pvc"]
    hosts: list[HostPattern] = []
    mirrors: dict[HostName, MirrorUrl] = {}
    offline: bool = False
    max_bytes: Bytes = 64 * 2**30
    timeout_seconds: int = Field(default=3600, ge=10, le=86_400)
    ports: list[Port] = Field(default=[443], min_length=1)
    cache: SourceCache = SourceCache()
    ca_config_map: str = ""

    def asks(self, host: str) -> bool:
        """Whether the administrator allows this machine, or names another one in its place."""
        return host in self.mirrors or any(
            pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
            for pattern in self.hosts
        )


class Activator(_Strict):
    """Holds the requests for a model that has no pod, until one is ready."""

    enabled: bool = True
    hold_seconds: int = Field(default=300, ge=1, le=3600)
    max_held: int = Field(default=100, ge=1, le=10_000)  # requests, for one model


class Autoscaling(_Strict):
    """Who scales models that ask for it, and where that one finds their metrics."""

    backend: Literal["hpa", "keda", "none"] = "hpa"
    prometheus_address: HttpUrl = ""  # for keda; empty: our own metrics server
    metrics_address: HttpUrl = ""  # of our own metrics server, for keda
    activator: Activator = Activator()


class Settings(_Strict):
    """Everything that an administrator decides. Field names are camelCase in the file."""

    image: str = Field(min_length=1)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[str] = []
    watch_namespaces: list[str] = []
    default_profile: str
    profiles: dict[str, Profile] = Field(min_length=1)
    sources: Sources = Sources()
    autoscaling: Autoscaling = Autoscaling()
    cluster_domain: str = "cluster.local"
    operator_namespace: str = "forge-system"
    metrics_namespaces: list[str] = []
    pod_access: Literal["auto", "direct", "proxy"] = "auto"
    leader_election: LeaderElection = LeaderElection()
    workers: int = Field(default=32, ge=1, le=64)
    resync_seconds: int = Field(default=300, ge=5)
    probe_port: Port = 8080
    metrics_port: Port = 9090
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def load(path: Path) -> Settings:
    """Read the settings file.

    Raises
    ------
    InvalidSettings
        The message names the file and the field.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InvalidSettings(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidSettings(f"{path}: is not YAML: {error}") from error
    try:
        settings = Settings.model_validate(_without_empty_accelerators(content))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise InvalidSettings(f"{path}: {problems}") from error
    if settings.default_profile not in settings.profiles:
        raise InvalidSettings(
            f"{path}: defaultProfile: no profile is named {settings.default_profile!r};"
            f" defined are {', '.join(sorted(settings.profiles))}"
        )
    return settings


def _without_empty_accelerators(content: Any) -> Any:
    # Helm can only override a map by another map, so `accelerator: {}` is how a chart says "none".
    if isinstance(content, dict) and isinstance(content.get("profiles"), dict):
        for profile in content["profiles"].values():
            if isinstance(profile, dict) and profile.get("accelerator") == {}:
                del profile["accelerator"]
    return content
