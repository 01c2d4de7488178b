"""What a model pod says at /metrics, made by the same library, without a model."""

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

_SECONDS = (0.1, 0.5, 1, 5, 10)


class Exposition:
    """Counts up as a pod does; `text` is what a scrape sees now."""

    def __init__(
        self, waiting: float = 0, running: float = 0, gpus: tuple[tuple[float, float, float], ...] = ()
    ) -> None:
        """Of each GPU: percent, bytes used, bytes there are."""
        self._registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(name, "A pod's.", registry=self._registry)
            for name in ("forge_requests_waiting", "forge_requests_running", "forge_uptime_seconds")
        }
        self._times = {
            name: Histogram(name, "A pod's.", buckets=_SECONDS, registry=self._registry)
            for name in ("forge_generation_seconds", "forge_time_to_first_token_seconds", "forge_queue_seconds")
        }
        self.busy(waiting, running)
        names = ("forge_gpu_utilization_percent", "forge_gpu_memory_used_bytes", "forge_gpu_memory_total_bytes")
        for place, name in enumerate(names if gpus else ()):
            gauge = Gauge(name, "A pod's.", ["gpu"], registry=self._registry)
            for index, gpu in enumerate(gpus):
                gauge.labels(str(index)).set(gpu[place])

    def busy(self, waiting: float, running: float = 0) -> None:
        """So many prompts from now on."""
        self._gauges["forge_requests_waiting"].set(waiting)
        self._gauges["forge_requests_running"].set(running)

    def took(self, seconds: float, times: int = 1) -> None:
        """So many prompts were answered in so much time; a tenth of it until the first token."""
        for _ in range(times):
            self._times["forge_generation_seconds"].observe(seconds)
            self._times["forge_time_to_first_token_seconds"].observe(seconds / 10)

    @property
    def text(self) -> str:
        return generate_latest(self._registry).decode()
