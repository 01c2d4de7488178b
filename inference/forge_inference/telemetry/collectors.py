"""What is read of the engine and the GPUs at each scrape, under names that never change."""

import time
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from forge_inference.engine.contract import MOST_ADAPTERS, Exchangeable
from forge_inference.telemetry.gpu import Gpus


class EngineCollector(Collector):
    """How busy the engine is and what it holds.

    The names with a colon are those of the Gateway API Inference Extension's model server protocol.
    """

    def __init__(self, engine: Exchangeable) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """Read at each scrape."""
        load = self._engine.load()
        for names, text, value in (
            (("forge_requests_waiting", "vllm:num_requests_waiting"), "Prompts in the queue.", load.waiting),
            (("forge_requests_running", "vllm:num_requests_running"), "Prompts being answered.", load.running),
            (
                ("forge_cache_used_ratio", "vllm:kv_cache_usage_perc"),
                "The part of the cache for keys and values that holds something.",
                load.cache_used,
            ),
            (("forge_adapters_loaded",), "Adapters beside the base model.", len(self._engine.adapters())),
        ):
            for name in names:
                yield GaugeMetricFamily(name, text, value)
        yield CounterMetricFamily("forge_steps", "Steps of the batch.", load.steps)
        yield CounterMetricFamily(
            "forge_step_requests", "Prompts over all steps; divided by the steps, the mean batch.", load.stepped
        )
        yield self._adapters(load.adapters_running)
        yield self._info()

    def _adapters(self, running: tuple[str, ...]) -> Metric:
        """As the model server protocol wants it told."""
        labels = ["max_lora", "running_lora_adapters", "waiting_lora_adapters"]
        family = GaugeMetricFamily("vllm:lora_requests_info", "Adapters of running requests.", labels=labels)
        names = ",".join(name or self._engine.name for name in running)
        family.add_metric([str(MOST_ADAPTERS), names, ""], time.time())
        return family

    def _info(self) -> Metric:
        loaded = self._engine.loaded()
        family = GaugeMetricFamily("forge_model_info", "What is served and how.", labels=["model", "plan", "device"])
        family.add_metric([self._engine.name, loaded.plan if loaded else "", loaded.device if loaded else ""], 1)
        return family


class GpuCollector(Collector):
    """What NVML tells; nothing without a GPU."""

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus

    def collect(self) -> Iterable[Metric]:
        """Read at each scrape."""
        names = {
            "memory_used": "forge_gpu_memory_used_bytes",
            "memory_total": "forge_gpu_memory_total_bytes",
            "utilization": "forge_gpu_utilization_percent",
            "temperature": "forge_gpu_temperature_celsius",
            "power": "forge_gpu_power_watts",
        }
        found = self._gpus.read()
        for field, name in names.items() if found else ():
            family = GaugeMetricFamily(name, f"NVML: {field.replace('_', ' ')}.", labels=["gpu"])
            for gpu in found:
                family.add_metric([str(gpu.index)], getattr(gpu, field))
            yield family
