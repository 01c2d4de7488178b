"""The machine that measures: what it computes fast, which every contender is given."""

import os
from pathlib import Path

import torch

from forge_inference.checkpoint.base import Base
from forge_inference.engine import plans
from forge_inference.engine.contract import Quantization

_CPU = torch.device("cpu")
_ARITHMETIC = plans.arithmetic(_CPU, Quantization("nf4", double_quant=True, compute_dtype="bfloat16"))
DTYPE = _ARITHMETIC.compute_dtype
_PLAN = plans.choose(_CPU, Base({}, {}), _ARITHMETIC)
NF4 = "in four bits" if _PLAN == "nf4" else f"dequantised to {DTYPE}, the plan for this CPU"


def described() -> str:
    """Its size and kind, never its name."""
    features = Path("/proc/cpuinfo").read_text()
    best = next(
        (name for name in ("AMX_BF16", "AVX512_BF16", "AVX512F", "AVX2") if name.lower() in features), "none of AVX"
    )
    return f"{os.cpu_count()} cores of a CPU with {best}"
