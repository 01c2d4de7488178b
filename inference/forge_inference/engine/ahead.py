"""A step that was begun, maybe before the tokens of the last one are known here: a GPU does not wait for Python.

docs/decisions/2026-11-27-a-step-ahead.md says why.
"""

from collections.abc import Sequence

import torch


class Begun:
    """What it finds is on its way to the host, whatever the device is told to do next."""

    def __init__(self, logits: torch.Tensor, found: torch.Tensor, names: Sequence[str], version: int) -> None:
        """`found` of each row, as of `sampling.likeliest`; `names` of the rows' answers; `version` of the adapters."""
        self.logits, self.found, self.rows = logits, found, {name: row for row, name in enumerate(names)}
        self._version = version
        on_gpu = found.device.type == "cuda"
        self._here = torch.empty(found.shape, dtype=found.dtype, pin_memory=on_gpu)
        self._here.copy_(found, non_blocking=True)
        self._arrived = torch.cuda.Event() if on_gpu else None
        if self._arrived:
            self._arrived.record()

    def holds(self, names: Sequence[str], version: int) -> bool:
        """Whether it is a step of these answers, and maybe of others that have ended meanwhile."""
        return version == self._version and self.rows.keys() >= set(names)

    def told(self) -> list[list[float]]:
        """`found`; waits for it."""
        if self._arrived:
            self._arrived.synchronize()
        told: list[list[float]] = self._here.tolist()
        return told
