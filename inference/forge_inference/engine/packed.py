"""The same layers on a CPU that computes in bfloat16, with weights laid out as its matrix units read them.

torch's own linear layer lays them out anew for each multiplication of more than one row. oneDNN's layout is made once
here (https://uxlfoundation.github.io/oneDNN, "memory format propagation"). One row is multiplied faster the plain way,
which is what a single answer waits for: small models, whose weights a CPU's caches may hold, have both layouts, and
large ones, where memory is what everybody waits for, the plain one. The operators are private to torch, which
pyproject.toml pins; tests/inference/engine/test_packed.py tests each.
"""

from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import rms_norm, silu

from forge_inference.engine import attention
from forge_inference.engine.adapters import Adapted, base_of
from forge_inference.engine.beside import Beside
from forge_inference.engine.fewer import ATTENTIONS, NORMS, is_gated

_ROWS = 32  # for which the layout is the best one; it is a good one for 2 and for 512
_SMALL = 512 * 2**20  # bytes of a model's weights
_ONEDNN: Any = torch.ops.mkldnn


def use(model: Any) -> None:
    """Change the model in place, if it computes in bfloat16 on a CPU."""
    if model.device.type != "cpu" or model.dtype != torch.bfloat16:
        return
    small = sum(weight.nbytes for weight in model.parameters()) <= _SMALL
    for module in list(model.modules()):
        if type(module) in ATTENTIONS and all(type(layer) is nn.Linear for _, layer in _heads(module)):
            module.forward = MethodType(_Attention(module, small=small), module)
        elif is_gated(module) and all(
            type(base_of(layer)) is nn.Linear for layer in (module.gate_proj, module.up_proj)
        ):
            module.forward = MethodType(_Gated(module), module)
        elif type(module) in NORMS:
            module.forward = MethodType(_normalised, module)
    for name, layer in list(model.named_modules()):
        if type(layer) is nn.Linear:
            model.set_submodule(name, Packed(layer.weight, layer.bias, small=small))


class Packed(nn.Module):
    """A linear layer."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, *, small: bool) -> None:
        """`weight` of the shape (out, in); one of a `small` model is kept a second time, laid out."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._plain = weight.detach()
        with torch.no_grad():
            self._laid_out = _ONEDNN._reorder_linear_weight(self._plain, _ROWS) if small else self._plain  # noqa: SLF001
        self._bias = bias

    def forward(self, x: torch.Tensor, then: str = "none") -> torch.Tensor:
        """`then`: what is done to the result before it is rounded."""
        found: torch.Tensor = _ONEDNN._linear_pointwise(x, self._weight(x), self._bias, then, [], "")  # noqa: SLF001
        return found

    def times(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The result times `other`, before it is rounded."""
        found: torch.Tensor = _ONEDNN._linear_pointwise.binary(x, other, self._weight(x), self._bias, "mul")  # noqa: SLF001
        return found

    def _weight(self, x: torch.Tensor) -> torch.Tensor:
        return self._plain if x.numel() == self.in_features else self._laid_out


class _Gated:
    def __init__(self, module: Any) -> None:
        """Has gates, and what they let through, read their weights from one place."""
        layers = _gates(module)
        biases = [layer.bias for layer in layers]
        weight = torch.cat([layer.weight for layer in layers])
        self._joined = Packed(weight, None if biases[0] is None else torch.cat(biases), small=False)
        self._adapters = Beside([len(weight) // 2] * 2)
        for layer, part in zip(layers, weight.chunk(2), strict=True):
            layer.weight = nn.Parameter(part, requires_grad=False)

    def __call__(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        """As the class's own; where no adapter has a part in it, gates are computed within the multiplications.

        One row is multiplied once: there, each call costs half of what reading the weights does.
        """
        gate, up = layers = (module.gate_proj, module.up_proj)
        if x.numel() == x.shape[-1]:
            both = self._joined(x)
            self._adapters.add(x, both, layers)
            let, through = both.chunk(2, dim=-1)
            between = silu(let).mul_(through)
        elif all(not isinstance(layer, Adapted) or layer.idle for layer in layers):
            between = base_of(up).times(x, base_of(gate)(x, "swish"))
        else:
            between = silu(gate(x)).mul_(up(x))
        found: torch.Tensor = module.down_proj(between)
        return found


class _Part(nn.Module):
    """What is left of a layer whose weights are part of another: a place for adapters."""


class _Attention:
    def __init__(self, module: Any, *, small: bool) -> None:
        """Makes one layer of those that make queries, keys and values."""
        names, layers = zip(*_heads(module), strict=True)
        biases = [layer.bias for layer in layers]
        self._sizes = [layer.out_features for layer in layers]
        self._adapters = Beside(self._sizes)
        weight = torch.cat([layer.weight for layer in layers])
        self._joined = Packed(weight, None if biases[0] is None else torch.cat(biases), small=small)
        for name in names:
            module.set_submodule(name, _Part())

    def __call__(
        self,
        module: Any,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        **more: Any,
    ) -> tuple[torch.Tensor, None]:
        """As the class's own, which asks for three multiplications, and turns queries and keys one after the other."""
        both, width = self._joined(hidden_states), module.head_dim
        self._adapters.add(hidden_states, both, (module.q_proj, module.k_proj, module.v_proj))
        heads, (queries, keys, _) = both.unflatten(-1, (-1, width)), (size // width for size in self._sizes)
        turned = _turned(heads[..., : queries + keys, :], *(part.unsqueeze(2) for part in position_embeddings))
        q, k, v = turned[..., :queries, :], turned[..., queries:, :], heads[..., queries + keys :, :]
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        mixed, _ = attention.attend(
            module, q, k, v, attention_mask, scaling=module.scaling, sliding_window=_window(module), **more
        )
        return module.o_proj(mixed.flatten(2)), None


def _heads(module: Any) -> list[tuple[str, Any]]:
    """Name and layer."""
    layers = {name: getattr(module, name) for name in ("q_proj", "k_proj", "v_proj")}
    return [
        (f"{name}.base", layer.base) if isinstance(layer, Adapted) else (name, layer) for name, layer in layers.items()
    ]


def _gates(module: Any) -> list[Any]:
    """Those of gates, and of what they let through."""
    return [base_of(layer) for layer in (module.gate_proj, module.up_proj)]


def _window(module: Any) -> int | None:
    """How many tokens a token sees; where layers differ in it, each has its own."""
    window: int | None = getattr(module, "sliding_window", getattr(module.config, "sliding_window", None))
    return window


def _turned(x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding (https://arxiv.org/abs/2104.09864), rounded twice where transformers rounds thrice."""
    half, turned = x.shape[-1] // 2, x * cosines
    turned[..., :half].addcmul_(x[..., half:], sines[..., :half], value=-1)
    turned[..., half:].addcmul_(x[..., :half], sines[..., half:])
    return turned


def _normalised(module: Any, x: torch.Tensor) -> torch.Tensor:
    """As the class's own, to the bit: each row over the root of its mean square, without a copy in float32.

    That is what a batch norm does to channels, whose means are 0 here and whose variances are the mean squares.
    torch's own, which copies, is faster for a few rows.
    """
    if x.numel() <= _ROWS * x.shape[-1]:
        return module.weight * rms_norm(x, x.shape[-1:], None, module.variance_epsilon)
    rows = x.reshape(1, -1, x.shape[-1])
    squares = torch.linalg.vector_norm(rows[0], dim=-1, dtype=torch.float32).square_().div_(x.shape[-1])
    found = torch.batch_norm(
        rows, None, None, torch.zeros_like(squares), squares, False, 0.0, module.variance_epsilon, False
    )
    return module.weight * found.view_as(x)
