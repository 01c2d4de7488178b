"""`python -m tests.bench.metrics_server`: the metrics server with many models, each with an autoscaler of its own.

On a control plane of its own, with kwok in the place of kubelets and one program that answers for all pods, in the real
model server's words. Writes docs/benchmarks.md.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

from forge_inference.telemetry.gpu import Gpus
from forge_inference.telemetry.metrics import Metrics
from forge_operator.api.scaling import METRICS
from tests.bench.section import write_section
from tests.harness import controlplane
from tests.harness.errors import HarnessError
from tests.harness.places import ROOT
from tests.harness.steps import say
from tests.support import metrics_server, operators
from tests.support.engines import ScriptedEngine
from tests.support.kube import Kube, Manifest, connected
from tests.support.operators import Operator
from tests.support.pods import AdminPort, admin_port
from tests.support.scalable import autoscaler, deployment
from tests.support.waiting import until

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = (
    "<!-- metrics server: written by `python -m tests.bench.metrics_server` -->",
    "<!-- metrics server: end -->",
)
MEMORY, ROUND = 150.0, 5.0  # promised at 300 models: MiB, seconds
NAMESPACE, RELEASE, QUEUE = "many-models", "forge-system", METRICS["QueueDepth"].name
LIMIT = 300.0  # seconds until the measurement gives up
_CREATORS = 4  # people who apply manifests at the same time


@dataclass(frozen=True)
class Figures:
    """Seconds, MiB, and the part of one core; `asked` is by autoscalers."""

    models: int
    watched: float
    memory: float
    rounds: int
    mean_round: float
    longest_round: float  # the bound of the last bucket that any round fell into
    failures: int
    core: float
    asked: int
    refused: int
    seeing: int  # autoscalers that see their metric at the end


class _Idle(ScriptedEngine):
    name = "hbb"


def measured(models: int, seconds: float, folder: Path) -> Figures:
    """One measurement on a control plane that exists for it alone. Raises TimeoutError and HarnessError."""
    name, kubeconfig = f"forge-bench-{os.getpid()}", folder / "kubeconfig"
    try:
        plane = controlplane.start(name, kubeconfig, autoscaler_every=15)
        with connected(plane.kubeconfig) as kube, admin_port() as admin:
            operators.install(kube, folder, RELEASE)
            _talk(admin)
            with metrics_server.registered(kube, folder, RELEASE) as place:
                _create(kube, models)
                with metrics_server.running(kube, place, folder) as server:
                    return _watched(kube, server, models, seconds)
    finally:
        controlplane.stop(name, kubeconfig)


def _talk(admin: AdminPort) -> None:
    """As the real server's exporter, of a model at rest."""
    text = Metrics(_Idle(), Gpus()).text().decode()  # type: ignore[arg-type]  # what is not asked is not there
    admin.metrics = lambda _: text
    say(f"a pod says {len(text)} bytes")


def _create(kube: Kube, models: int) -> None:
    say(f"creating {models} models' pods and autoscalers")
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    things: list[Manifest] = []
    for number in range(models):
        model = f"model-{number:04}"
        things += [deployment(model, NAMESPACE, f"uid-{number}"), autoscaler(model, NAMESPACE, QUEUE, 4)]
    with ThreadPoolExecutor(_CREATORS) as people:
        list(people.map(kube.create, things))


def _watched(kube: Kube, server: Operator, models: int, seconds: float) -> Figures:
    until(lambda: _told(server) == models, limit=LIMIT, what=f"a sample of {models} pods", pause=1)
    until(lambda: _seeing(kube) == models, limit=LIMIT, what=f"{models} autoscalers to see it", pause=2)
    say("all autoscalers see their metric")
    before, used, begun = _figures(server), server.cpu_seconds(), time.monotonic()
    until(
        lambda: server.measure() and time.monotonic() - begun >= seconds,
        limit=seconds + LIMIT,
        what="the end of the watch",
        pause=0.5,
    )
    took = time.monotonic() - begun
    after = _figures(server)
    rounds = after["round_seconds_count"] - before["round_seconds_count"]
    return Figures(
        models=models,
        watched=took,
        memory=server.rss_peak,
        rounds=int(rounds),
        mean_round=(after["round_seconds_sum"] - before["round_seconds_sum"]) / rounds,
        longest_round=_longest(before, after),
        failures=int(_all(after, "scrape_failures_total") - _all(before, "scrape_failures_total")),
        core=(server.cpu_seconds() - used) / took,
        asked=int(_all(after, "requests_total") - _all(before, "requests_total")),
        refused=int(_all(after, 'requests_total{code="5') - _all(before, 'requests_total{code="5')),
        seeing=_seeing(kube),
    )


def _told(server: Operator) -> int:
    return int(_figures(server).get(f'samples{{metric="{QUEUE}"}}', 0))


def _seeing(kube: Kube) -> int:
    return sum(
        condition["type"] == "ScalingActive" and condition["status"] == "True"
        for thing in kube.list("HorizontalPodAutoscaler", NAMESPACE)
        for condition in thing.get("status", {}).get("conditions", [])
    )


def _figures(server: Operator) -> dict[str, float]:
    """What the server says of itself, without the beginning that all names share."""
    text = httpx.get(f"{server.address}/metrics", trust_env=False).text
    found = re.findall(r"^forge_metrics_api_(\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def _all(figures: dict[str, float], begin: str) -> float:
    return sum(value for name, value in figures.items() if name.startswith(begin))


def _longest(before: dict[str, float], after: dict[str, float]) -> float:
    bounds = {
        float(name.split('"')[1]): value - before.get(name, 0)
        for name, value in after.items()
        if name.startswith("round_seconds_bucket")
    }
    return min(bound for bound, count in bounds.items() if count == max(bounds.values()))


def rows(figures: Figures) -> list[tuple[str, str, str, bool]]:
    """What, promised, measured, kept."""
    longest = figures.longest_round
    return [
        ("memory (RSS), at most", f"≤ {MEMORY:.0f} MiB", f"{figures.memory:.0f} MiB", figures.memory <= MEMORY),
        ("round over all pods, at most", f"≤ {ROUND:.0f} s", f"≤ {longest:g} s", longest <= ROUND),
        ("pods that gave nothing", "0", str(figures.failures), figures.failures == 0),
        (
            "autoscalers that see their metric",
            str(figures.models),
            str(figures.seeing),
            figures.seeing == figures.models,
        ),
        ("answers that were errors of ours", "0", str(figures.refused), figures.refused == 0),
    ]


def section(figures: Figures) -> str:
    """Markdown; the machine is described, never named."""
    memory = psutil.virtual_memory().total / 2**30
    return "\n".join(
        [
            f"{figures.models} models of one pod, each with an autoscaler that looks every 15 seconds; watched for"
            f" {figures.watched:.0f} s. A round is spread over 2.5 seconds on purpose, so that nobody has a burst:"
            f" {figures.rounds} rounds took {figures.mean_round:.2f} s on average. The server used"
            f" {100 * figures.core:.0f} % of one core and gave {figures.asked} answers.",
            f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, shared by etcd, the API"
            " server, its controllers, kwok, the program that answers for the pods, and the metrics server. Command:"
            " `python -m tests.bench.metrics_server`.",
            "",
            "| figure | promised | measured | kept |",
            "|---|---|---|---|",
            *(
                f"| {what} | {goal} | {found} | {'yes' if kept else '**no**'} |"
                for what, goal, found, kept in rows(figures)
            ),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.metrics_server", description=__doc__)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--watch", type=float, default=60, help="seconds for which the server is watched")
    parser.add_argument("--dry-run", action="store_true", help=f"do not write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measured(options.models, options.watch, Path(folder))
    except (HarnessError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(section(figures))
    if not options.dry_run:
        write_section(section(figures), PAGE, BEGIN, END)
        say(f"written to {PAGE.relative_to(ROOT)}")
    return 0 if all(kept for *_, kept in rows(figures)) else 1


if __name__ == "__main__":
    sys.exit(main())
