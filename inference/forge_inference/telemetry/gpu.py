"""GPU figures from NVML. Without a GPU they are absent, not zero."""

import logging
from dataclasses import asdict, dataclass
from typing import Any

import pynvml

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """Memory in bytes, utilisation in percent of the last second, temperature in °C, power in watts."""

    index: int
    name: str
    memory_used: int
    memory_total: int
    utilization: int
    temperature: int
    power: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Gpus:
    """All GPUs that this process may see."""

    def __init__(self) -> None:
        self._count = 0
        try:
            pynvml.nvmlInit()
            self._count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            logger.info("no GPU figures: %s", error)

    def read(self) -> list[Gpu]:
        """The figures now; empty without a GPU, and when the driver fails (logged once)."""
        try:
            return [_read(index) for index in range(self._count)]
        except pynvml.NVMLError as error:
            self._count = 0
            logger.warning("no more GPU figures: %s", error)
            return []


def _read(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        index=index,
        name=str(pynvml.nvmlDeviceGetName(handle)),
        memory_used=int(memory.used),
        memory_total=int(memory.total),
        utilization=int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        temperature=int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        power=pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
    )
