"""What the flags ask for: a target, a demand and limits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from forge_inference.load.arrivals import phases
from forge_inference.load.client import Target
from forge_inference.load.dialects import DIALECTS, Wish
from forge_inference.load.figures import Slo
from forge_inference.load.flags import flags
from forge_inference.load.generator import Demand
from forge_inference.load.prompts import InvalidPrompts, Prompts, read

_SECRET = ("authorization", "proxy-authorization", "api-key", "x-api-key", "cookie")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Options:
    """What the flags ask for."""

    target: Target
    demand: Demand
    slo: Slo
    load: str  # the flag that says how much, as it was written
    max_error_rate: float | None
    max_late: float
    json: Path | None
    plot: Path | None
    dry_run: bool


def parse(words: Sequence[str], environment: Mapping[str, str]) -> Options:
    """SystemExit with status 2 and a sentence about the flag for what is wrong, with 0 for --help."""
    parser = flags()
    found = parser.parse_args(words)
    try:
        dialect, url = _address(found.url, found.api)
        headers = dict(_header(text, environment) for text in found.header)
        if found.ignore_eos and dialect == "generate":
            raise ValueError("--ignore-eos: /api/v1/generate has no such field; use --api completions or chat")
        if found.rate is None and found.concurrency is None:
            raise ValueError("say how much load: --rate 2:60s for an open loop, or --concurrency 8 for a closed one")
        if found.rate is None:
            demand = Demand(crowd=found.concurrency, crowd_seconds=found.duration or 60.0)
        else:
            demand = Demand(phases(found.rate, found.duration), found.arrivals)
        texts = read(found.prompts) if found.prompts else Prompts.texts
    except (ValueError, InvalidPrompts) as error:
        parser.error(str(error))
    return Options(
        target=Target(
            url=url,
            dialect=DIALECTS[dialect],
            wish=Wish(found.max_tokens, found.temperature, found.model, found.ignore_eos),
            timeout=found.timeout_seconds,
            retries=found.retries,
        ),
        demand=replace(
            demand,
            seed=found.seed,
            warmup=found.warmup,
            prompts=Prompts(texts, found.prompt_tokens, found.seed),
            headers=headers,
            keep_alive=found.keep_alive,
        ),
        slo=replace(found.slo, share=found.slo_share),
        load=f"--rate {found.rate}" if found.rate else f"--concurrency {found.concurrency}",
        max_error_rate=found.max_error_rate,
        max_late=found.max_late,
        json=found.json,
        plot=found.plot,
        dry_run=found.dry_run,
    )


def _address(url: str, api: str | None) -> tuple[str, str]:
    """The dialect, and the URL of its route."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url}: the server's URL begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL must not contain a password: everybody on this machine could read it; use --header")
    path = parts.path.rstrip("/")
    named = next((name for name, dialect in DIALECTS.items() if path.endswith(dialect.path)), None)
    if named and api not in (None, named):
        raise ValueError(f"--api {api}: the URL names the route of --api {named}")
    if named:
        return named, url.rstrip("/")
    dialect = api or "chat"  # what most models were tuned for: many of them end a bare text at once
    return dialect, parts._replace(path=path.removesuffix("/v1") + DIALECTS[dialect].path).geturl()


def _header(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon or not name:
        raise ValueError(f"--header {name!r}: write 'NAME: VALUE'")
    variables = _VARIABLE.findall(value)
    if name.lower() in _SECRET and not variables:
        raise ValueError(
            f"--header {name}: a secret on the command line can be read by everybody on this machine; put it into a"
            f" variable and write '{name}: ${{VARIABLE}}' in single quotes"
        )
    for variable in variables:
        if not environment.get(variable):
            raise ValueError(f"--header {name}: the environment has no {variable}")
    return name, _VARIABLE.sub(lambda match: environment[match[1]], value)
