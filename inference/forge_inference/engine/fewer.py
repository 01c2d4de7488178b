"""The same layers in fewer kernels: on a GPU, asking for a small kernel takes longer than computing it."""

from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import rms_norm
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralAttention, MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

# Other models compute something else under these names, and are left as they are.
_NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)
_ATTENTIONS = (LlamaAttention, MistralAttention, Qwen2Attention)


def use(model: nn.Module) -> None:
    """Norms in one kernel each, and, in steps of one token for each answer, no kernels that rotate."""
    for module in model.modules():
        if type(module) in _NORMS:
            module.forward = MethodType(_norm, module)
        elif type(module) in _ATTENTIONS:
            module.forward = MethodType(_attention, module)


def _norm(module: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    return rms_norm(hidden_states, module.weight.shape, module.weight, module.variance_epsilon)


def _attention(
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
    heads = (hidden_states.shape[1], -1, module.head_dim)
    q, k, v = (part(hidden_states).view(heads) for part in (module.q_proj, module.k_proj, module.v_proj))
    mixed = step.attend(module.layer_idx, q, k, v, module.scaling, (cosines.contiguous(), sines.contiguous()))
    return module.o_proj(mixed.view(1, hidden_states.shape[1], -1)), None
