"""LoRA adapters beside the base model's layers: several in one batch, each token with its own.

A layer with adapters computes base(x) + ((x A^T) * scale[adapter of the token]) B^T, where A and B are all adapters'
matrices side by side: two multiplications for any number of them (https://arxiv.org/abs/2106.09685 for one). Where
all tokens want the same one, its matrices are enough, and its scale is part of B.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import linear

from forge_inference.checkpoint.preflight import Adapter
from forge_inference.engine.contract import MOST_ADAPTERS
from forge_inference.engine.errors import InvalidRequest

logger = logging.getLogger(__name__)

BASE = 0  # the slot of requests that want the base model alone
_KEY = "base_model.model.{module}.lora_{side}.weight"

# Adds what adapters add to a layer's answer, in place, from: its input, the answer, A, B, scales. Whether it did.
Adapt = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], bool]
Pair = tuple[torch.Tensor, torch.Tensor]  # A and B of one adapter


class Slots:
    """Which adapter each token of the present step wants: set before a forward, read by every layer."""

    def __init__(self) -> None:
        self.of_token: torch.Tensor | None = None  # (tokens,); None: nobody wants an adapter
        self.of_answer: torch.Tensor | None = None  # (answers,), for layers that only see each last token
        self.only: int | None = None  # what all tokens want, where that is known
        self.adapt: Adapt | None = None  # another way to compute the same, for some steps
        self.version = 0  # of the adapters' tensors: those of another version are gone

    @contextmanager
    def chosen(
        self, of_token: torch.Tensor | None, of_answer: torch.Tensor | None = None, adapt: Adapt | None = None
    ) -> Iterator[None]:
        """For one forward."""
        self.of_token, self.of_answer, self.adapt = of_token, of_answer, adapt
        if of_token is not None and of_token.device.type == "cpu":  # asking a GPU would wait for it
            first = of_token[0]
            self.only = int(first) if bool((of_token == first).all()) else None
        try:
            yield
        finally:
            self.of_token = self.of_answer = self.adapt = self.only = None


class Adapted(nn.Module):
    """A linear layer and the adapters on it."""

    def __init__(self, base: nn.Module, slots: Slots, dtype: torch.dtype) -> None:
        super().__init__()
        self.base, self.slots, self._dtype = base, slots, dtype
        self._parts: dict[int, tuple[torch.Tensor, torch.Tensor, float]] = {}
        self._a = self._b = self._scale = torch.empty(0)
        self._alone: dict[int, Pair] = {}

    def put(self, slot: int, a: torch.Tensor, b: torch.Tensor, scale: float) -> None:
        """`a` of the shape (rank, in), `b` of the shape (out, rank)."""
        self._parts[slot] = a, b, scale
        self._join(a.device)

    def drop(self, slot: int) -> None:
        """Forget an adapter, if it has a part here."""
        if part := self._parts.pop(slot, None):
            self._join(part[0].device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.add(x, self.base(x))

    @property
    def sides(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
        """A of the shape (rank, in), B of the shape (out, rank) and each slot's scales; None without an adapter."""
        return (self._a, self._b, self._scale) if self._parts else None

    @property
    def idle(self) -> bool:
        """Whether no token of the present step wants an adapter here."""
        return self.slots.of_token is None or not self._parts

    def add(self, x: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        """To the base layer's answer, which may be changed."""
        slots = self.slots.of_token
        if slots is None or not self._parts:
            return answer
        if (adapt := self.slots.adapt) and adapt(x, answer, self._a, self._b, self._scale):
            return answer
        if (only := self.slots.only) is not None:
            return added(x, answer, self.alone(only))
        if len(slots) != x.shape[-2]:
            slots = self.slots.of_answer
            assert slots is not None  # noqa: S101 - only the last layer sees fewer tokens, and then it is set
        low = linear(x.to(self._dtype), self._a) * self._scale[slots]
        return answer + linear(low, self._b).to(answer.dtype)

    def alone(self, slot: int) -> Pair | None:
        """This adapter without the others, its scale in B; None if it has no part here."""
        if slot in self._parts and slot not in self._alone:
            a, b, scale = self._parts[slot]
            self._alone[slot] = a.to(self._dtype), (b * scale).to(self._dtype)
        return self._alone.get(slot)

    def _join(self, device: torch.device) -> None:
        self.slots.version += 1
        self._alone = {}
        if not self._parts:
            return
        self._a = torch.cat([a for a, _, _ in self._parts.values()]).to(self._dtype)
        self._b = torch.cat([b for _, b, _ in self._parts.values()], dim=1).to(self._dtype).contiguous()
        self._scale = torch.zeros(MOST_ADAPTERS + 1, len(self._a), dtype=self._dtype, device=device)
        begin = 0
        for slot, (a, _, scale) in self._parts.items():
            self._scale[slot, begin : begin + len(a)] = scale
            begin += len(a)


def base_of(layer: Any) -> Any:
    """The layer without the adapters on it."""
    return layer.base if isinstance(layer, Adapted) else layer


def added(x: torch.Tensor, answer: torch.Tensor, pair: Pair | None) -> torch.Tensor:
    """What one adapter adds to the answer of a layer, or of some, for all tokens; in place."""
    if pair is None:
        return answer
    a, b = pair
    return answer.add_(linear(linear(x.to(a.dtype), a), b))


class Adapters:
    """The adapters of one model, by name. For the engine's thread alone."""

    def __init__(self, model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
        self.slots = Slots()
        self._model, self._dtype, self._device = model, dtype, device
        self._known: dict[str, tuple[int, Adapter]] = {}
        self._retired: dict[int, Adapter] = {}  # unloaded, and still wanted by answers that have begun

    def names(self) -> Mapping[str, Adapter]:
        """What is loaded."""
        return {name: adapter for name, (_, adapter) in self._known.items()}

    def slot(self, name: str | None) -> int:
        """Raises KeyError for a name that is not loaded; None is the base model alone."""
        return BASE if name is None else self._known[name][0]

    def stand_for(self, name: str, model: Adapter) -> None:
        """A whole model has no adapter: requests by this name are answered by the model itself."""
        self._known[name] = BASE, model

    def add(self, name: str, adapter: Adapter) -> None:
        """Load what preflight has checked. Raises InvalidRequest when there is no room for one more."""
        if len(self._used()) >= MOST_ADAPTERS:
            raise InvalidRequest(f"{MOST_ADAPTERS} adapters are loaded already; unload one")
        tensors = load_file(adapter.weights, device=str(self._device))
        slot = next(number for number in range(1, MOST_ADAPTERS + 1) if number not in self._used())
        for module, scale in adapter.modules.items():
            layer = self._model.get_submodule(module)
            if not isinstance(layer, Adapted):
                layer = Adapted(layer, self.slots, self._dtype)
                self._model.set_submodule(module, layer)
            a, b = (tensors[_KEY.format(module=module, side=side)].to(self._dtype) for side in "AB")
            layer.put(slot, a, b, scale)
        self._known[name] = slot, adapter
        logger.info("adapter %s: rank %d on %d layers", name or "of the checkpoint", adapter.rank, len(adapter.modules))

    def remove(self, name: str) -> None:
        """No more for new answers. Raises KeyError."""
        slot, adapter = self._known.pop(name)
        self._retired[slot] = adapter

    def sweep(self, wanted: Collection[int]) -> None:
        """Forget what was removed, but for the slots that are still wanted."""
        for slot in self._retired.keys() - set(wanted):
            for module in self._retired.pop(slot).modules:
                layer: Any = self._model.get_submodule(module)
                layer.drop(slot)

    def _used(self) -> set[int]:
        return {slot for slot, _ in self._known.values()} | self._retired.keys()
