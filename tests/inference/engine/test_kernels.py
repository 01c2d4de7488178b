"""The kernels for GPUs compute what is computed by hand: on a GPU where there is one, else as C++ on the CPU."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import rms_norm, silu
from transformers import MistralConfig

from forge_inference.engine.kernels import CudaKernels, Launch
from forge_inference.engine.nvrtc import Module, Size, Unavailable, as_passed, compiled
from forge_inference.engine.shapes import SOURCE, Shape, near, shape_of
from forge_inference.engine.table import BLOCKS
from tests.inference.engine.by_hand import ByHand

pytestmark = pytest.mark.model
ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
PAGE, ROW, STRIDE = 4, BLOCKS + 16, 4
# The last row only fills up.
POSITIONS = [0, 3, 38, 61, 17, -1]
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}
SHAPES = [
    pytest.param(4, 2, 64, torch.bfloat16, id="bfloat16"),
    pytest.param(6, 2, 16, torch.float32, id="float32, three heads to one"),
    pytest.param(2, 2, 32, torch.float32, id="float32, heads of their own"),
]
ON_GPUS_ONLY = [
    pytest.param(32, 8, 128, torch.bfloat16, id="Llama 8B"),
    pytest.param(28, 4, 128, torch.bfloat16, id="Qwen2 7B"),
    pytest.param(4, 2, 64, torch.float16, id="float16"),
    pytest.param(16, 1, 256, torch.bfloat16, id="wide, sixteen heads to one"),
]


def _kernels(shape: Shape, folder: Path) -> CudaKernels:
    if ON_GPU:
        gpu = torch.cuda.get_device_properties(DEVICE)
        module = Module(compiled(SOURCE, shape.options(), f"sm_{gpu.major}{gpu.minor}"), early=bool(near(gpu)))
        return CudaKernels(shape, module.kernel, gpu.multi_processor_count, near(gpu))
    if not (compiler := shutil.which("g++")):
        pytest.skip("there is neither a GPU nor a C++ compiler")
    source, library = folder / "kernels.cu", folder / "kernels.so"
    source.write_text(SOURCE.replace("extern __shared__ float mine[];", "float *mine = dynamic_shared;"))
    told = [*shape.options(), f'-DKERNELS="{source}"', "-Wno-unknown-pragmas"]
    shim = Path(__file__).with_name("cuda_on_cpu.cc")
    subprocess.run([compiler, "-std=c++20", "-O1", "-shared", "-fPIC", *told, shim, "-o", library], check=True)
    return CudaKernels(shape, _on_cpu(ctypes.CDLL(str(library))), processors=3, near=256 * 1024)


def _on_cpu(library: ctypes.CDLL) -> Callable[..., Launch]:
    def kernel(name: str, most: int = 0) -> Launch:
        del most

        def launch(grid: Size, block: int, /, *arguments: torch.Tensor | int | float | None, shared: int = 0) -> None:
            del shared
            values = [as_passed(argument) for argument in arguments]
            pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
            library.run(name.encode(), *grid, block, pointers)

        return launch

    return kernel


def _table() -> torch.Tensor:
    """Each answer with blocks of its own, in no order."""
    table = torch.zeros((len(POSITIONS), ROW), dtype=torch.int32)
    needed = [position // PAGE + 1 for position in POSITIONS]
    blocks = torch.randperm(sum(needed)).to(torch.int32).split(needed)
    for row, (position, own) in enumerate(zip(POSITIONS, blocks, strict=True)):
        table[row, 1], table[row, 2] = position, row % 3
        table[row, BLOCKS : BLOCKS + len(own)] = own
    return table


@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize(("heads", "kv_heads", "width", "dtype"), SHAPES + (ON_GPUS_ONLY if ON_GPU else []))
def test_attention_in_place_is_that_of_each_answer_alone(
    heads: int, kv_heads: int, width: int, dtype: torch.dtype, rotated: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    shape = Shape(heads, kv_heads, width, PAGE, STRIDE, ROW, dtype)
    kernels, table = _kernels(shape, tmp_path), _table()
    tokens, pages = len(table), STRIDE * (int(table[:, BLOCKS:].max()) + 1)
    q, k, v = (torch.randn(tokens, count, width) for count in (heads, kv_heads, kv_heads))
    cache = torch.randn(2, pages, PAGE, kv_heads, width).to(dtype)
    turn = tuple(torch.randn(2, tokens, width).to(dtype)) if rotated else None
    q, k, v = (each.to(dtype) for each in (q, k, v))
    expected_cache = cache.float().clone()
    expected = ByHand(STRIDE).attend(
        table,
        q.float(),
        k.float(),
        v.float(),
        (expected_cache[0], expected_cache[1]),
        width**-0.5,
        (turn[0].float(), turn[1].float()) if turn else None,
    )
    here = cache.to(DEVICE)
    q, k, v = (each.to(DEVICE) for each in (q, k, v))
    rotation = (turn[0].to(DEVICE), turn[1].to(DEVICE)) if turn else None
    found = kernels.attend(table.to(DEVICE), q, k, v, (here[0], here[1]), width**-0.5, rotation)
    torch.testing.assert_close(found.float().cpu(), expected, atol=CLOSE[dtype], rtol=CLOSE[dtype])
    torch.testing.assert_close(here.float().cpu(), expected_cache, atol=CLOSE[dtype], rtol=CLOSE[dtype])


@pytest.mark.parametrize("rank", [4, 24])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_are_added_to_the_rows_that_want_them(dtype: torch.dtype, rank: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kernels, table = _kernels(Shape(4, 2, 64, PAGE, STRIDE, ROW, dtype), tmp_path), _table()
    x, answer = torch.randn(len(table), 1152), torch.randn(len(table), 200)
    a, b, scale = torch.randn(rank, 1152) / 30, torch.randn(200, rank), torch.zeros(3, rank)
    scale[1, : rank // 2], scale[2, rank // 2 :] = 0.5, 2.0
    x, answer, a, b, scale = (each.to(dtype) for each in (x, answer, a, b, scale))
    before, expected = answer.clone(), answer.float().clone()
    ByHand().adapt(table, x.float(), expected, a.float(), b.float(), scale.float())
    table, x, here, a, b, scale = (each.to(DEVICE) for each in (table, x, answer, a, b, scale))
    assert kernels.adapt(table, x, here, a, b, scale)
    torch.testing.assert_close(here.float().cpu(), expected, atol=CLOSE[dtype], rtol=CLOSE[dtype])
    low, here = x.float() @ a.float().T, before.to(DEVICE)
    beside = torch.cat([torch.full_like(low, 7), low], dim=1)
    kernels.lift(table, beside[:, rank:], scale, b, here)
    torch.testing.assert_close(here.float().cpu(), expected, atol=CLOSE[dtype], rtol=CLOSE[dtype])
    assert not kernels.adapt(table, x[:, :-1], here, a[:, :-1], b, scale), "nothing is read across its end"


@pytest.mark.parametrize(("tokens", "into", "out", "below"), [(1, 1184, 100, 0), (3, 544, 40, 20), (8, 512, 16, 8)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16] if ON_GPU else [torch.bfloat16])
def test_rows_are_multiplied_with_what_is_done_before_and_after(
    dtype: torch.dtype, tokens: int, into: int, out: int, below: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    kernels = _kernels(Shape(4, 2, 64, PAGE, STRIDE, ROW, dtype), tmp_path)
    x, weight, more = torch.randn(1, tokens, into), torch.randn(out, into), torch.randn(below, into)
    shut, by, residual = torch.randn(1, tokens, into), torch.randn(into), torch.randn(1, tokens, out)
    x, weight, more, shut, by, residual = (
        each.to(dtype) for each in (x, weight / into**0.5, more / into**0.5, shut, by, residual)
    )
    if ON_GPU and not kernels.multiplies(x.to(DEVICE), weight.to(DEVICE)):
        pytest.skip("kernels of this GPU do not begin early")
    close = {"atol": 4 * CLOSE[dtype], "rtol": 2 * CLOSE[dtype]}
    for given, norm, gates, added in (
        (x, None, False, None),
        (x, by, False, residual),
        (torch.cat([shut, x], dim=-1), None, True, residual),
    ):
        told: dict[str, Any] = {"gates": gates, "norm": None, "residual": None, "below": more.to(DEVICE)}
        wide = told | {"below": more.float()}
        if norm is not None:
            told["norm"], wide["norm"] = (norm.to(DEVICE), 1e-5), (norm.float(), 1e-5)
        if added is not None:
            told["residual"], wide["residual"] = added.to(DEVICE), added.float()
        y, low = kernels.multiply(given.to(DEVICE), weight.to(DEVICE), **told)
        expected, expected_low = ByHand().multiply(given.float(), weight.float(), **wide)
        torch.testing.assert_close(y.float().cpu(), expected, **close)
        torch.testing.assert_close(low.cpu(), expected_low, **close)
    assert not kernels.multiplies(torch.zeros(9, into, dtype=dtype), weight)
    assert not kernels.multiplies(torch.zeros(1, 48, dtype=dtype), torch.zeros(out, 48, dtype=dtype))
    assert not kernels.multiplies(x, weight, torch.zeros(200, into, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_in_one_kernel_are_those_of_torch(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kernels = _kernels(Shape(4, 2, 64, PAGE, STRIDE, ROW, dtype), tmp_path)
    x, weight = torch.randn(1, 3, 1216).to(dtype), torch.randn(1216).to(dtype)
    close = {"atol": CLOSE[dtype], "rtol": CLOSE[dtype]}
    here, there = x.to(DEVICE), weight.to(DEVICE)
    normed = kernels.norm(here, there, 1e-5).float().cpu()
    torch.testing.assert_close(normed, rms_norm(x.float(), (1216,), weight.float(), 1e-5), **close)
    gated = kernels.gate(here).float().cpu()
    torch.testing.assert_close(gated, silu(x.float()[..., :608]) * x.float()[..., 608:], **close)


def test_kernels_compile_without_a_gpu_and_without_headers() -> None:
    try:
        compiled("", [], "sm_90")
    except Unavailable as error:
        pytest.skip(f"torch brings no compiler for kernels here: {error}")
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        options = Shape(32, 8, 128, 32, 64, 67, dtype).options()
        assert compiled(SOURCE, options, "sm_90").startswith(b"\x7fELF")
    with pytest.raises(Unavailable, match="nonsense"):
        compiled("nonsense", [], "sm_90")


@pytest.mark.parametrize(("width", "dtype"), [(96, torch.bfloat16), (80, torch.float16), (64, torch.float64)])
def test_heads_that_no_kernel_is_written_for_are_refused(width: int, dtype: torch.dtype) -> None:
    with pytest.raises(Unavailable, match=f"{width} numbers"):
        Shape(4, 2, width, 32, 4, 67, dtype).options()


def test_a_model_whose_layers_see_a_window_is_refused() -> None:
    sizes = {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3}
    found = shape_of(MistralConfig(**sizes, sliding_window=None), torch.bfloat16, 32, 67)
    assert found == Shape(heads=4, kv_heads=2, width=64, page=32, stride=6, row=67, dtype=torch.bfloat16)
    with pytest.raises(Unavailable, match="window"):
        shape_of(MistralConfig(**sizes, sliding_window=64), torch.bfloat16, 32, 67)
