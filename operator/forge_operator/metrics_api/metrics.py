"""The server's own figures, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from forge_operator.metrics_api.samples import NAMES

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10)


class Metrics:
    """One instance per process; names begin with `forge_metrics_api_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.round_seconds = Histogram(
            "forge_metrics_api_round_seconds",
            "From the first pod that is asked to the last answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.failures = Counter(
            "forge_metrics_api_scrape_failures_total", "Pods that gave nothing.", ["cause"], registry=self.registry
        )
        self.requests = Counter(
            "forge_metrics_api_requests_total", "Answers to autoscalers.", ["code"], registry=self.registry
        )
        self.certificate_ends = Gauge(
            "forge_metrics_api_certificate_not_after_seconds",
            "When the certificate that is served ends, as Unix time; 0: none is.",
            registry=self.registry,
        )
        self._pods = Gauge("forge_metrics_api_pods", "Model pods that are ready.", registry=self.registry)
        self._samples = Gauge(
            "forge_metrics_api_samples", "Pods with a fresh sample.", ["metric"], registry=self.registry
        )

    def watch(self, *, pods: Callable[[], float], fresh: Callable[[str], float]) -> None:
        """Where to read the gauges from, at each scrape."""
        self._pods.set_function(pods)
        for name in NAMES:
            self._samples.labels(name).set_function(lambda name=name: fresh(name))  # type: ignore[misc]

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
