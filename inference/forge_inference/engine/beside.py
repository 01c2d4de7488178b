"""Adapters on layers that read the same, such as those of queries, keys and values: few rows are multiplied once."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import nn

from forge_inference.engine.adapters import Adapted, Pair, added
from forge_inference.engine.fewer import adapt

_FEW = 32  # rows; with more, multiplying the zeros beside the blocks of B takes longer than asking for each layer


class Beside:
    """Layers of one input, whose answers lie side by side, and the adapters on them as if they were one layer."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """`sizes`: of the answers."""
        self._sizes, self._version = sizes, -1
        self._known: dict[int, Pair | None] = {}

    def add(self, x: torch.Tensor, answers: torch.Tensor, layers: Sequence[nn.Module]) -> None:
        """In place, what adapters have to add to the answers of these layers."""
        adapted = [layer for layer in layers if isinstance(layer, Adapted) and not layer.idle]
        if not adapted:
            return
        slots = adapted[0].slots
        if slots.only is None or x.shape[-2] > _FEW:
            adapt(x, answers.split(self._sizes, dim=-1), layers)
            return
        if self._version != slots.version:
            self._known, self._version = {}, slots.version
        if slots.only not in self._known:
            self._known[slots.only] = self._pair(slots.only, layers)
        added(x, answers, self._known[slots.only])

    def _pair(self, slot: int, layers: Sequence[nn.Module]) -> Pair | None:
        """B has a block for each layer, and is 0 beside them."""
        ends = accumulate(self._sizes)
        parts = [
            (end - size, end, *pair)
            for layer, size, end in zip(layers, self._sizes, ends, strict=True)
            if isinstance(layer, Adapted) and (pair := layer.alone(slot))
        ]
        if not parts:
            return None
        whole = torch.cat([a for _, _, a, _ in parts])
        wide, rank = whole.new_zeros(sum(self._sizes), len(whole)), 0
        for begin, end, a, b in parts:
            wide[begin:end, rank : rank + len(a)] = b
            rank += len(a)
        return whole, wide
