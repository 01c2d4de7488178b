"""The same layers in fewer kernels, and larger ones: on a GPU, small ones take longer to start than to compute."""

from collections.abc import Sequence
from types import MethodType
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.functional import linear
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaDecoderLayer, LlamaMLP, LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import (
    MistralAttention,
    MistralDecoderLayer,
    MistralMLP,
    MistralRMSNorm,
)
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2DecoderLayer, Qwen2MLP, Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP, Qwen3RMSNorm

from forge_inference.engine.adapters import Adapted, base_of
from forge_inference.engine.table import OneEach

# Other models compute something else under these names, and are left as they are.
NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)
ATTENTIONS = (LlamaAttention, MistralAttention, Qwen2Attention)
_GATED = (LlamaMLP, MistralMLP, Qwen2MLP, Qwen3MLP)
_LAYERS = (LlamaDecoderLayer, MistralDecoderLayer, Qwen2DecoderLayer)


class Arithmetic(Protocol):
    """Each in one kernel."""

    def norm(self, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """Each row over the root of its mean square, times `weight`."""

    def gate(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the first half of each row, times the second."""

    def multiplies(self, x: torch.Tensor, weight: torch.Tensor, below: torch.Tensor | None = None) -> bool:
        """Whether `multiply` is for these; where it is, it is the faster way."""

    def multiply(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        *,
        norm: tuple[torch.Tensor, float] | None = None,
        gates: bool = False,
        residual: torch.Tensor | None = None,
        below: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`weight` times each row of `x`, plus `residual`; and in float32 `below` times each row, if it is given.

        With `norm`, weights and epsilon, rows are normalised first; with `gates` they are what `gate` makes of them.
        """

    def lift(
        self, table: torch.Tensor, low: torch.Tensor, scale: torch.Tensor, b: torch.Tensor, answer: torch.Tensor
    ) -> None:
        """Add to a layer's answer what adapters make of `low`, the product of its input and their A."""


def use(model: nn.Module, by: Arithmetic) -> None:
    """Linear layers, norms and gates of this model, and its attention in steps of one token for each answer."""
    modules = list(model.modules())
    heads = {each: _joined((each.q_proj, each.k_proj, each.v_proj)) for each in modules if type(each) in ATTENTIONS}
    gates = {each: _joined((each.gate_proj, each.up_proj)) for each in modules if is_gated(each)}
    for module in modules:
        if type(module) in NORMS:
            module.forward = MethodType(_Norm(by), module)
        elif type(module) in ATTENTIONS:
            module.forward = MethodType(_Attention(by, heads[module]), module)
        elif (joined := gates.get(module)) is not None:
            module.forward = MethodType(_Gated(by, joined), module)
        elif _is_plain(module):
            module.forward = MethodType(_Linear(by), module)
        elif type(module) in _LAYERS:
            joined, both = heads.get(module.self_attn), gates.get(module.mlp)
            ends = (base_of(module.self_attn.o_proj), base_of(module.mlp.down_proj))
            if joined is not None and both is not None and all(_is_plain(end) for end in ends):
                module.forward = MethodType(_Layer(by, module, joined, both), module)


def is_gated(module: Any) -> bool:
    """Whether it is an MLP whose gates are SiLU."""
    return type(module) in _GATED and isinstance(module.act_fn, nn.SiLU | SiLUActivation)


class _Norm:
    def __init__(self, by: Arithmetic) -> None:
        self._by = by

    def __call__(self, module: Any, hidden_states: torch.Tensor) -> torch.Tensor:
        return self._by.norm(hidden_states, module.weight, module.variance_epsilon)


class _Linear:
    def __init__(self, by: Arithmetic) -> None:
        self._by = by

    def __call__(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        return _times(self._by, x, module.weight)


class _Attention:
    def __init__(self, by: Arithmetic, joined: torch.Tensor | None) -> None:
        """`joined`: the weights of queries, keys and values, if they can be one."""
        self._by, self._joined = by, joined

    def __call__(
        self,
        module: Any,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        *others: Any,
        **more: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As the class's own, which rotates queries and keys in ten kernels; ours put keys into the cache as well."""
        step, x = more.get("one_each"), hidden_states
        if step is None or not _rotates(module, x, position_embeddings):
            found: tuple[torch.Tensor, torch.Tensor | None] = type(module).forward(
                module, x, position_embeddings, *others, **more
            )
            return found
        if self._joined is None:
            answers: Sequence[torch.Tensor] = [part(x) for part in _heads(module)]
        else:
            answers = _parts(x, _times(self._by, x, self._joined), _heads(module))
        return module.o_proj(_attended(module, step, answers, position_embeddings)), None


class _Gated:
    def __init__(self, by: Arithmetic, joined: torch.Tensor) -> None:
        """`joined`: the weights of gates, then those of what they let through."""
        self._by, self._joined = by, joined

    def __call__(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        both = _times(self._by, x, self._joined)
        _parts(x, both, (module.gate_proj, module.up_proj))
        found: torch.Tensor = module.down_proj(self._by.gate(both))
        return found


class _Layer:
    """Norms, gates and sums are computed within the multiplications before and after them, and adapters' A beside."""

    def __init__(self, by: Arithmetic, module: Any, heads: torch.Tensor, gates: torch.Tensor) -> None:
        """The weights of queries, keys and values, and those of gates and what they let through."""
        self._by, attention, mlp = by, module.self_attn, module.mlp
        self._heads = _Product(by, heads, attention, ("q_proj", "k_proj", "v_proj"))
        self._gates = _Product(by, gates, mlp, ("gate_proj", "up_proj"))
        self._out = _Product(by, base_of(attention.o_proj).weight, attention, ("o_proj",))
        self._down = _Product(by, base_of(mlp.down_proj).weight, mlp, ("down_proj",))

    def __call__(self, module: Any, hidden_states: torch.Tensor, *others: Any, **more: Any) -> torch.Tensor:
        x, step, positions = hidden_states, more.get("one_each"), more.get("position_embeddings")
        if step is None or positions is None or not self._is_for(module, x, positions):
            found: torch.Tensor = type(module).forward(module, x, *others, **more)
            return found
        answers = self._heads(step, x, norm=module.input_layernorm).split(self._heads.sizes, dim=-1)
        x = self._out(step, _attended(module.self_attn, step, answers, positions), residual=x)
        both = self._gates(step, x, norm=module.post_attention_layernorm)
        if not self._down.fits(both):
            return x + module.mlp.down_proj(self._by.gate(both))
        return self._down(step, both, gates=True, residual=x)

    def _is_for(self, module: Any, x: torch.Tensor, positions: tuple[torch.Tensor, torch.Tensor]) -> bool:
        products = (self._heads, self._gates, self._out)
        return _rotates(module.self_attn, x, positions) and all(product.fits(x) for product in products)


class _Product:
    """Layers that read the same input, their adapters included."""

    def __init__(self, by: Arithmetic, weight: torch.Tensor, module: Any, names: Sequence[str]) -> None:
        """`weight`: of all of these layers of the module."""
        self._by, self._weight, self._module, self._names = by, weight, module, names
        self.sizes = [base_of(getattr(module, name)).out_features for name in names]
        self._below: torch.Tensor | None = None
        self._version = -1

    def fits(self, x: torch.Tensor) -> bool:
        """Whether it is for such rows."""
        return self._by.multiplies(x, self._weight, self._side_by_side())

    def __call__(
        self,
        step: OneEach,
        x: torch.Tensor,
        *,
        norm: Any = None,
        gates: bool = False,
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What all layers answer, one beside the other, plus `residual`."""
        how = None if norm is None else (norm.weight, norm.variance_epsilon)
        whole, low = self._by.multiply(
            x, self._weight, norm=how, gates=gates, residual=residual, below=self._side_by_side()
        )
        begin = 0
        for layer, answer in zip(self._layers(), whole.split(self.sizes, dim=-1), strict=True):
            if isinstance(layer, Adapted) and (sides := layer.sides):
                a, b, scale = sides
                self._by.lift(step.table, low[:, begin : begin + len(a)], scale, b, answer)
                begin += len(a)
        return whole

    def _layers(self) -> list[Any]:
        return [getattr(self._module, name) for name in self._names]

    def _side_by_side(self) -> torch.Tensor | None:
        """The layers' A. Recordings know where it is, as long as no adapter comes or goes."""
        adapted = [layer for layer in self._layers() if isinstance(layer, Adapted)]
        if adapted and adapted[0].slots.version != self._version:
            parts = [sides[0] for layer in adapted if (sides := layer.sides)]
            self._below, self._version = torch.cat(parts) if parts else None, adapted[0].slots.version
        return self._below


def _times(by: Arithmetic, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return by.multiply(x, weight)[0] if by.multiplies(x, weight) else linear(x, weight)


def _heads(attention: Any) -> tuple[nn.Module, ...]:
    return attention.q_proj, attention.k_proj, attention.v_proj


def _rotates(attention: Any, x: torch.Tensor, positions: tuple[torch.Tensor, torch.Tensor]) -> bool:
    """Whether all of each head is rotated, in the same numbers."""
    return positions[0].shape[-1] == attention.head_dim and positions[0].dtype == x.dtype


def _attended(
    attention: Any, step: Any, answers: Sequence[torch.Tensor], positions: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """What is mixed of the values; `answers` are queries, keys and values."""
    q, k, v = (answer[0].unflatten(-1, (-1, attention.head_dim)) for answer in answers)
    cosines, sines = (part[0].contiguous() for part in positions)
    mixed: torch.Tensor = step.attend(attention.layer_idx, q, k, v, attention.scaling, (cosines, sines))
    return mixed.flatten(1)[None]


def _is_plain(layer: nn.Module) -> bool:
    return type(layer) is nn.Linear and layer.bias is None


def _joined(parts: Sequence[Any]) -> torch.Tensor | None:
    """The weights of these layers as one, of which each layer keeps its part; None for what is no plain layer."""
    layers = [base_of(part) for part in parts]
    if not all(_is_plain(layer) for layer in layers):
        return None
    joined = torch.cat([layer.weight for layer in layers])
    begin = 0
    for layer in layers:
        rows = len(layer.weight)
        layer.weight = nn.Parameter(joined[begin : begin + rows], requires_grad=False)
        begin += rows
    return joined


def _parts(x: torch.Tensor, whole: torch.Tensor, parts: Sequence[Any]) -> Sequence[torch.Tensor]:
    """What each of these layers answers, of what they answer together."""
    answers = whole.split([base_of(part).out_features for part in parts], dim=-1)
    adapt(x, answers, parts)
    return answers


def adapt(x: torch.Tensor, answers: Sequence[torch.Tensor], parts: Sequence[nn.Module]) -> None:
    """Add what adapters have to add to each layer's answer, in place."""
    for part, mine in zip(parts, answers, strict=True):
        if isinstance(part, Adapted) and (changed := part.add(x, mine)) is not mine:
            mine.copy_(changed)
