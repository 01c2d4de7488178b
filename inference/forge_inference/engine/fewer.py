"""The same layers in fewer kernels, and larger ones: on a GPU, small ones take longer to start than to compute."""

from collections.abc import Sequence
from types import MethodType
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.functional import linear
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP, LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralAttention, MistralMLP, MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2MLP, Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP, Qwen3RMSNorm

from forge_inference.engine.adapters import Adapted

# Other models compute something else under these names, and are left as they are.
NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)
ATTENTIONS = (LlamaAttention, MistralAttention, Qwen2Attention)
_GATED = (LlamaMLP, MistralMLP, Qwen2MLP, Qwen3MLP)


class Arithmetic(Protocol):
    """Each in one kernel."""

    def norm(self, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """Each row over the root of its mean square, times `weight`."""

    def gate(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the first half of each row, times the second."""


def use(model: nn.Module, by: Arithmetic) -> None:
    """Norms and gates of this model, and its attention in steps of one token for each answer."""
    for module in model.modules():
        if type(module) in NORMS:
            module.forward = MethodType(_Norm(by), module)
        elif type(module) in ATTENTIONS:
            module.forward = MethodType(_Attention(_joined((module.q_proj, module.k_proj, module.v_proj))), module)
        elif is_gated(module):
            joined = _joined((module.gate_proj, module.up_proj))
            module.forward = module.forward if joined is None else MethodType(_Gated(by, joined), module)


def is_gated(module: Any) -> bool:
    """Whether it is an MLP whose gates are SiLU."""
    return type(module) in _GATED and isinstance(module.act_fn, nn.SiLU | SiLUActivation)


class _Norm:
    def __init__(self, by: Arithmetic) -> None:
        self._by = by

    def __call__(self, module: Any, hidden_states: torch.Tensor) -> torch.Tensor:
        return self._by.norm(hidden_states, module.weight, module.variance_epsilon)


class _Attention:
    def __init__(self, joined: torch.Tensor | None) -> None:
        """`joined`: the weights of queries, keys and values, if they can be one."""
        self._joined = joined

    def __call__(
        self,
        module: Any,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        *others: Any,
        **more: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As the class's own, which rotates queries and keys in ten kernels; ours put keys into the cache as well."""
        step = more.get("one_each")
        cosines, sines = (part[0] for part in position_embeddings)
        if step is None or cosines.shape[-1] != module.head_dim or cosines.dtype != hidden_states.dtype:
            found: tuple[torch.Tensor, torch.Tensor | None] = type(module).forward(
                module, hidden_states, position_embeddings, *others, **more
            )
            return found
        parts = (module.q_proj, module.k_proj, module.v_proj)
        if self._joined is None:
            answers: Sequence[torch.Tensor] = [part(hidden_states) for part in parts]
        else:
            answers = _answers(hidden_states, self._joined, parts)[1]
        q, k, v = (answer[0].unflatten(-1, (-1, module.head_dim)) for answer in answers)
        mixed = step.attend(module.layer_idx, q, k, v, module.scaling, (cosines.contiguous(), sines.contiguous()))
        return module.o_proj(mixed.flatten(1)[None]), None


class _Gated:
    def __init__(self, by: Arithmetic, joined: torch.Tensor) -> None:
        """`joined`: the weights of gates, then those of what they let through."""
        self._by, self._joined = by, joined

    def __call__(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        both, _ = _answers(x, self._joined, (module.gate_proj, module.up_proj))
        found: torch.Tensor = module.down_proj(self._by.gate(both))
        return found


def _joined(parts: Sequence[nn.Module]) -> torch.Tensor | None:
    """The weights of these layers as one, of which each layer keeps its part; None for what is no plain layer."""
    layers = [part.base if isinstance(part, Adapted) else part for part in parts]
    if any(type(layer) is not nn.Linear or layer.bias is not None for layer in layers):
        return None
    joined = torch.cat([layer.weight for layer in layers])
    begin = 0
    for layer in layers:
        rows = len(layer.weight)
        layer.weight = nn.Parameter(joined[begin : begin + rows], requires_grad=False)
        begin += rows
    return joined


def _answers(
    x: torch.Tensor, joined: torch.Tensor, parts: Sequence[nn.Module]
) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
    """What these layers answer, as one tensor and as its parts."""
    whole = linear(x, joined)
    sizes = [(part.base if isinstance(part, Adapted) else part).out_features for part in parts]
    answers = whole.split(sizes, dim=-1)
    adapt(x, answers, parts)
    return whole, answers


def adapt(x: torch.Tensor, answers: Sequence[torch.Tensor], parts: Sequence[nn.Module]) -> None:
    """Add what adapters have to add to each layer's answer, in place."""
    for part, mine in zip(parts, answers, strict=True):
        if isinstance(part, Adapted) and (changed := part.add(x, mine)) is not mine:
            mine.copy_(changed)
