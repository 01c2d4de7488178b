"""The operator's own figures, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """One instance per process; names begin with `forge_operator_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconcile_seconds = Histogram(
            "forge_operator_reconcile_seconds", "Duration of one reconcile.", buckets=_SECONDS, registry=self.registry
        )
        self.errors = Counter(
            "forge_operator_errors_total", "Reconciles that did not succeed.", ["reason"], registry=self.registry
        )
        self.writes = Counter(
            "forge_operator_writes_total", "Writes to the API server.", ["verb", "kind"], registry=self.registry
        )
        self._gauge = Gauge("forge_operator_queue_depth", "Models that wait for a worker.", registry=self.registry)
        self._models = Gauge("forge_operator_models", "Models in the cache.", registry=self.registry)
        self._leader = Gauge("forge_operator_leader", "1 while this process leads.", registry=self.registry)

    def watch(self, *, depth: Callable[[], float], models: Callable[[], float], leads: Callable[[], float]) -> None:
        """Where to read the gauges from, at each scrape."""
        self._gauge.set_function(depth)
        self._models.set_function(models)
        self._leader.set_function(leads)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
