"""python -m forge_operator.activator: settings -> parts -> run."""

import asyncio
import logging
import sys
from pathlib import Path

from forge_operator.activator.doors import opened
from forge_operator.activator.metrics import Metrics
from forge_operator.activator.pods import Pods
from forge_operator.activator.proxy import Proxy
from forge_operator.activator.room import Room
from forge_operator.activator.table import Table
from forge_operator.activator.waker import Deployments, Waker
from forge_operator.children.shape import MANAGED_BY
from forge_operator.cluster.client import Client
from forge_operator.cluster.kinds import ENDPOINT_SLICE
from forge_operator.cluster.watch import Watch
from forge_operator.handlers import program
from forge_operator.handlers.probes import probe, serving, text
from forge_operator.handlers.together import told_to_end
from forge_operator.settings import Settings

_MODULE = "forge_operator.activator"
logger = logging.getLogger(_MODULE)

DRAIN_SECONDS = 120  # for the answer to a request that was held to the last moment, once the process shall end


def main(words: list[str] | None = None) -> int:
    """The exit status."""
    chosen = program.parser(_MODULE, "Hold requests for models at zero, and wake them.").parse_args(words)
    return program.ended(_MODULE, "the activator", chosen.config, lambda settings: _run(settings, chosen.kubeconfig))


async def _run(settings: Settings, kubeconfig: Path | None) -> None:
    """Until SIGTERM or SIGINT. Raises OperatorError and OSError (a port that is taken)."""
    stop = told_to_end()
    hold, namespaces = settings.autoscaling.activator, settings.watch_namespaces or [""]
    table, room, metrics = Table(namespaces), Room(hold.max_held), Metrics()

    def not_ready() -> str | None:
        return "ending" if stop.is_set() else None if table.known else "starting"

    probes = {"/livez": probe(lambda: None), "/readyz": probe(not_ready)}
    async with (
        await Client.connect(kubeconfig) as client,
        serving(settings.probe_port, probes),
        serving(settings.metrics_port, {"/metrics": text(metrics.text)}),
        Pods() as pods,
        Waker(Deployments(client), table, room) as waker,
        asyncio.TaskGroup() as watches,
    ):
        metrics.watch(
            held=room.held, open=lambda: room.open, models=lambda: len(table.ports()), woken=lambda: waker.woken
        )
        learning = [watches.create_task(_learn(client, table, namespace)) for namespace in namespaces]
        proxy = Proxy(table, room, waker, pods, metrics, hold.hold_seconds)
        async with opened(table, proxy.handle, hold.hold_seconds + DRAIN_SECONDS):
            await stop.wait()
            logger.info("ending; requests that are open: %d", room.open)
        for task in learning:
            task.cancel()


async def _learn(client: Client, table: Table, namespace: str) -> None:
    # Kubernetes gives its own slices the labels of their Service: one watch has both.
    async for seen in Watch(client, ENDPOINT_SLICE, namespace, MANAGED_BY).follow():
        table.take(seen, namespace)


if __name__ == "__main__":
    sys.exit(main())
