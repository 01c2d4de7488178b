"""The activator's own figures, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)


class Metrics:
    """One instance per process; names begin with `forge_activator_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "forge_activator_requests_total",
            "Requests that came: answered by a pod, left by the client, broken in the middle, or why refused.",
            ["outcome"],
            registry=self.registry,
        )
        self.wait = Histogram(
            "forge_activator_wait_seconds",
            "From the whole request to a connection with a ready pod.",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def ended(self, outcome: str) -> None:
        """One request is over."""
        self._requests.labels(outcome).inc()

    def watch(self, **gauges: Callable[[], float]) -> None:
        """Where to read the gauges from, at each scrape: held, open, models, woken."""
        texts = {
            "held": "Requests that wait for a pod.",
            "open": "Requests that wait or are being answered.",
            "models": "Models that may be at zero.",
            "woken": "Models woken since the start.",
        }
        for name, value in gauges.items():
            gauge = Gauge(f"forge_activator_{name}", texts[name], registry=self.registry)
            gauge.set_function(value)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
