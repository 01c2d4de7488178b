"""What a pod has besides its server when files must be fetched: an init container for each such source."""

import json
from typing import Any

from forge_operator.api.parse import Model
from forge_operator.api.source import Source
from forge_operator.api.v1alpha1 import FETCHERS, Manifest
from forge_operator.children.container import literal, resources, restricted, scratch
from forge_operator.errors import SourceDenied
from forge_operator.settings import Profile, Settings, Sources, canonical

FETCHED = "/fetched"
_NAMES = {field: name for name, field in FETCHERS.items()}
_PYTHON = "/opt/venv/bin/python"  # of inference/Dockerfile, whose entry point is the server
_CACHE, _CREDENTIALS, _CA, _CA_FILE = "/cache", "/credentials", "/ca", "ca.crt"


def fetched(model: Model) -> dict[str, Source]:
    """Name of the init container to the source that it fetches, in the order in which they run."""
    return {_NAMES[field]: source for field, source in model.spec.sources.items() if not source.is_mounted}


def folder(place: str) -> str:
    """Where an init container leaves a source, and the server finds it, by the name of its place."""
    return f"{FETCHED}/{place}"


def admit(model: Model, sources: Sources) -> None:
    """Raise SourceDenied, naming the chart's value, for what the administrator does not allow."""
    for field, source in model.spec.sources.items():
        scheme, host, port = source.scheme, source.host, source.port
        if scheme not in sources.schemes:
            allowed = ", ".join(f"{each}://" for each in sources.schemes) or "none"
            raise _denied(field, f"{scheme}:// is not allowed here (allowed: {allowed})", f"{scheme!r}", "schemes")
        if host is None or host in sources.mirrors:
            continue  # of s3 the fetcher alone knows the endpoint, and asks the same question
        if not sources.asks(host):
            raise _denied(field, f"nothing may be fetched from {host}", "it", "hosts")
        if port not in sources.ports:
            raise _denied(field, f"pods may not connect to port {port}", "it", "ports")


def _denied(field: str, what: str, wanted: str, value: str) -> SourceDenied:
    ask = f"ask the administrator to add {wanted} to sources.{value} of the chart's values"
    return SourceDenied(f"{field}.uri: {what}; {ask}, or copy the files to a claim.")


def init_containers(model: Model, settings: Settings, profile: Profile) -> list[Manifest]:
    """They run one after another, before the server; a failed one is tried again by the kubelet."""
    return [_fetcher(name, source, settings, profile) for name, source in fetched(model).items()]


def _fetcher(name: str, source: Source, settings: Settings, profile: Profile) -> Manifest:
    mounts = [{"name": "fetched", "mountPath": FETCHED}, scratch()]
    if settings.sources.cache.claim:
        mounts.append({"name": "cache", "mountPath": _CACHE})
    if source.secret_ref:
        mounts.append({"name": f"{name}-credentials", "mountPath": _CREDENTIALS, "readOnly": True})
    if settings.sources.ca_config_map:
        mounts.append({"name": "ca", "mountPath": _CA, "readOnly": True})
    return {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [_PYTHON, "-m", "forge_inference.sources", "fetch"],
        "env": [
            {"name": key, "value": literal(value)} for key, value in environment(name, source, settings.sources).items()
        ],
        # The server's, without its devices: a pod counts the larger of the two, so fetching asks for nothing more.
        "resources": resources(profile, devices=False),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": restricted(),
    }


def environment(name: str, source: Source, sources: Sources) -> dict[str, str]:
    """The whole contract with the fetcher; `tests/contract` reads it back with the fetcher's own settings."""
    written = {
        "FORGE_FETCH_URI": source.uri,
        "FORGE_FETCH_TO": folder(_place(name)),
        "FORGE_FETCH_REVISION": source.revision,
        "FORGE_FETCH_SHA256": source.sha256,
        "FORGE_FETCH_CACHE": _CACHE if sources.cache.claim else None,
        "FORGE_FETCH_CREDENTIALS": _CREDENTIALS if source.secret_ref else None,
        # This one alone: allowing another scheme restarts no pod.
        "FORGE_FETCH_SCHEMES": source.scheme,
        # Nothing between commas is no host; an empty value would be the fetcher's own default, which is any.
        "FORGE_FETCH_HOSTS": ",".join(sources.hosts) or ",",
        "FORGE_FETCH_MIRRORS": json.dumps(sources.mirrors, sort_keys=True) if sources.mirrors else None,
        "FORGE_FETCH_OFFLINE": "true" if sources.offline else "false",
        "FORGE_FETCH_MAX_BYTES": str(sources.max_bytes),
        "FORGE_FETCH_TIMEOUT_SECONDS": str(sources.timeout_seconds),
        "FORGE_FETCH_CA_FILE": f"{_CA}/{_CA_FILE}" if sources.ca_config_map else None,
        "FORGE_TERMINATION_LOG": "/dev/termination-log",
        "FORGE_LOG_FORMAT": "json",
    }
    return {key: value for key, value in written.items() if value}


def _place(name: str) -> str:
    return "base" if name == "fetch-base-model" else name.removeprefix("fetch-")


def volumes(model: Model, sources: Sources) -> list[Manifest]:
    """What the init containers need; nothing when nothing is fetched."""
    wanted = fetched(model)
    if not wanted:
        return []
    # Only a last resort, since the node ends a pod that outgrows it: twice what the fetcher lets through, because an
    # archive lies beside what is unpacked from it.
    room = canonical(2 * sources.max_bytes * len(wanted))
    found: list[Manifest] = [{"name": "fetched", "emptyDir": {"sizeLimit": room}}]
    if sources.cache.claim:
        found.append({"name": "cache", "persistentVolumeClaim": {"claimName": sources.cache.claim}})
    if sources.ca_config_map:
        found.append({"name": "ca", "configMap": {"name": sources.ca_config_map, "optional": True}})
    for name, source in wanted.items():
        if source.secret_ref:
            # Optional: without it the kubelet would wait without a word; the fetcher says what is missing.
            secret: dict[str, Any] = {"secretName": source.secret_ref.name, "optional": True}
            found.append({"name": f"{name}-credentials", "secret": secret})
    return found
