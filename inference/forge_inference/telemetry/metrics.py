"""Counts and times of this process, for Prometheus and for /api/v1/metrics. No label holds a user's text."""

import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from forge_inference.engine.contract import Chunk, Exchangeable
from forge_inference.engine.errors import EngineError
from forge_inference.telemetry.collectors import EngineCollector, GpuCollector
from forge_inference.telemetry.gpu import Gpus

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
disable_created_metrics()  # type: ignore[no-untyped-call]  # a series for each counter, of which nobody asks
_RECENT = 1000  # requests over which percentiles and the error rate are told


class Metrics:
    """Of this process, whichever model it serves."""

    def __init__(self, engine: Exchangeable, gpus: Gpus) -> None:
        self._engine, self._gpus = engine, gpus
        self._started = time.monotonic()
        self._recent: deque[tuple[float, bool]] = deque(maxlen=_RECENT)
        self.registry = CollectorRegistry()
        labels = ("route", "status")
        self._requests = Counter("forge_requests_total", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "forge_request_seconds", "Time to the whole answer.", buckets=_SECONDS, registry=self.registry
        )
        self._tokens = Counter("forge_tokens_total", "Tokens read and written.", ("kind",), registry=self.registry)
        self._refusals = Counter("forge_refusals_total", "Prompts refused.", ("cause",), registry=self.registry)
        self._readings = Counter(
            "forge_readings_total",
            "What became of questions and papers: answers, abstentions, citations that were dropped.",
            ("task", "outcome"),
            registry=self.registry,
        )
        self._abstentions = Counter(
            "forge_abstentions_total", "Questions not answered.", ("query_type", "reason"), registry=self.registry
        )
        self._times = {
            kind: Histogram(f"forge_{kind}_seconds", text, buckets=buckets, registry=self.registry)
            for kind, text, buckets in (
                ("queue", "Prompts: from their arrival to their first step.", _SECONDS),
                ("time_to_first_token", "Prompts: from their arrival to their first token.", _SECONDS),
                ("inter_token", "Between two tokens of an answer.", _TOKEN_SECONDS),
                ("generation", "Prompts: from their arrival to their last token.", _SECONDS),
            )
        }
        self._lately: dict[str, deque[float]] = {kind: deque(maxlen=_RECENT) for kind in self._times}
        uptime = Gauge("forge_uptime_seconds", "Since the process started.", registry=self.registry)
        uptime.set_function(self.uptime)
        self._working, self._rests_since = 0, self._started
        idle = Gauge("forge_idle_seconds", "Since the last POST; 0 while one is answered.", registry=self.registry)
        idle.set_function(self.idle)
        self.registry.register(EngineCollector(engine))
        self.registry.register(GpuCollector(gpus))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One HTTP request. `route` is its template, never its path."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.observe(seconds)
        self._recent.append((seconds, status >= 500))

    @contextmanager
    def working(self, method: str) -> Iterator[None]:
        """One HTTP request. Only a POST is work: whoever watches health or lists models keeps nothing awake."""
        if method != "POST":
            yield
            return
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._rests_since = time.monotonic()

    def idle(self) -> float:
        """Seconds without work. The operator takes a model's last pod away by it."""
        load = self._engine.load()
        if self._working or load.waiting or load.running:
            return 0.0
        return time.monotonic() - self._rests_since

    def generated(self, prompt: int, completion: int) -> None:
        """Tokens of one prompt and its answer."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)

    async def timed(self, answer: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
        """The same chunks; what they took is counted, and why there are none."""
        begun = before = time.monotonic()
        first = True
        try:
            async with aclosing(answer):
                async for chunk in answer:
                    now = time.monotonic()
                    if first:
                        self._took("queue", chunk.waited)
                    self._took("time_to_first_token" if first else "inter_token", now - before)
                    first, before = False, now
                    yield chunk
        except EngineError as error:
            self.refused(type(error).__name__)
            raise
        self._took("generation", time.monotonic() - begun)

    def _took(self, kind: str, seconds: float) -> None:
        self._times[kind].observe(seconds)
        self._lately[kind].append(seconds)

    def refused(self, cause: str) -> None:
        self._refusals.labels(cause).inc()

    def read(self, task: str, outcome: str, times: int = 1) -> None:
        """What became of a scientific task, or of a part of it."""
        self._readings.labels(task, outcome).inc(times)

    def abstained(self, query_type: str, reason: str) -> None:
        """A question was not answered."""
        self._abstentions.labels(query_type, reason).inc()

    def uptime(self) -> float:
        """Seconds since the process started."""
        return time.monotonic() - self._started

    def summary(self) -> dict[str, Any]:
        """Numbers over the last 1,000 requests; times are in milliseconds, null before the first request."""
        seconds = sorted(seconds for seconds, _ in self._recent)
        errors = sum(failed for _, failed in self._recent)
        return {
            "uptime_seconds": round(self.uptime(), 1),
            "requests": len(seconds),
            "error_rate": errors / len(seconds) if seconds else 0.0,
            "response_time_ms": _percentiles(seconds),
            **{f"{kind}_ms": _percentiles(sorted(lately)) for kind, lately in self._lately.items()},
        }

    def detail(self) -> dict[str, Any]:
        """What /metrics has for Prometheus, for people: the summary, and counts since the process started."""
        load, loaded = self._engine.load(), self._engine.loaded()
        return {
            **self.summary(),
            "plan": loaded.plan if loaded else None,
            "device": loaded.device if loaded else None,
            "waiting": load.waiting,
            "running": load.running,
            "max_queue": load.max_queue,
            "cache_used": round(load.cache_used, 3),
            "mean_batch": round(load.stepped / load.steps, 2) if load.steps else None,
            "adapters_loaded": len(self._engine.adapters()),
            "tokens": _counts(self._tokens, "kind"),
            "refusals": _counts(self._refusals, "cause"),
            "gpus": [gpu.as_json() for gpu in self._gpus.read()] or None,
        }

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


def _counts(counter: Counter, label: str) -> dict[str, int]:
    return {
        sample.labels[label]: int(sample.value)
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def _percentiles(ordered: list[float]) -> dict[str, float | None]:
    return {f"p{share}": _percentile(ordered, share) for share in (50, 95, 99)}


def _percentile(ordered: list[float], share: int) -> float | None:
    """Nearest rank, in milliseconds."""
    return round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000, 1) if ordered else None
