"""How to compute with a quantised base model, chosen from the hardware."""

import logging
from dataclasses import replace
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from torch import nn

from forge_inference.checkpoint.base import Base
from forge_inference.engine.contract import Plan, Quantization

logger = logging.getLogger(__name__)

_ROOM = 0.5  # of the accelerator's free memory; the rest is for the cache and the arithmetic


def arithmetic(device: torch.device, wanted: Quantization) -> Quantization:
    """As wanted, but in float32 on a CPU without kernels for the wanted format.

    What torch does there instead is up to ten times slower, and rounds more.
    """
    if device.type != "cpu" or wanted.compute_dtype == "float32":
        return wanted
    onednn: Any = torch.ops.mkldnn  # torch has no public name for what it knows of this CPU
    short = {"bfloat16": onednn._is_mkldnn_bf16_supported, "float16": onednn._is_mkldnn_fp16_supported}  # noqa: SLF001
    if short[wanted.compute_dtype]():
        return wanted
    logger.info("this CPU has no fast %s arithmetic: computing in float32", wanted.compute_dtype)
    return replace(wanted, compute_dtype="float32")


def choose(device: torch.device, base: Base, quantization: Quantization) -> Plan:
    """Four bits where they are fast or nothing else fits, else the numbers that they stand for.

    bitsandbytes' CPU kernel is fast with AVX512_BF16, and without it several times slower than full numbers. Where the
    CPU multiplies matrices of bfloat16 by itself (AMX), full numbers are the faster ones again.
    """
    if quantization.method == "none":
        return "plain"
    if device.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - torch has no public name for it
        matrices = torch.cpu._is_amx_tile_supported() and quantization.compute_dtype == "bfloat16"  # noqa: SLF001
        return "nf4" if fast and not matrices else "dequantized"
    free, _ = torch.cuda.mem_get_info(device)
    numbers = sum(out * into for out, into in base.linear().values())
    needed = 2 * numbers  # bytes, in 16 bits
    return "dequantized" if needed < free * _ROOM else "nf4"


def dequantize(model: nn.Module, dtype: torch.dtype) -> None:
    """Replace each layer of four bits by one of `dtype` with the same numbers.

    Before the first forward: on CPUs bitsandbytes then packs the weights anew, and what could be read from them after
    that would be garbage, without an error.
    """
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Linear4bit):
            weight: Any = layer.weight
            full = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, dtype=dtype, device="meta")
            numbers = dequantize_4bit(weight.data, weight.quant_state).to(dtype)
            full.weight = nn.Parameter(numbers, requires_grad=False)
            if layer.bias is not None:
                full.bias = nn.Parameter(layer.bias.to(dtype), requires_grad=False)
            model.set_submodule(name, full)
