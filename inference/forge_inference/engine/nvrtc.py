"""CUDA kernels compiled at run time by NVRTC, which torch brings: neither a compiler nor headers are needed.

torch's own function for this, `torch.cuda._compile_kernel`, wants an installed CUDA toolkit.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch

Size = tuple[int, int, int]


class Unavailable(Exception):
    """No kernels can be compiled here, and why."""


def compiled(source: str, options: Sequence[str], architecture: str) -> bytes:
    """Machine code for a GPU of this architecture, as sm_90. Needs no GPU. Raises Unavailable."""
    nvrtc = _nvrtc()
    program = ctypes.c_void_p()
    _check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None))
    try:
        wanted = [f"--gpu-architecture={architecture}", *options]
        told = (ctypes.c_char_p * len(wanted))(*(option.encode() for option in wanted))
        if nvrtc.nvrtcCompileProgram(program, len(wanted), told):
            raise Unavailable(_text(nvrtc, "nvrtcGetProgramLog", program).decode(errors="replace").strip("\0 \n"))
        return _text(nvrtc, "nvrtcGetCUBIN", program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


class Module:
    """Compiled kernels on the GPU that is in use."""

    def __init__(self, code: bytes) -> None:
        """Raises Unavailable."""
        torch.cuda.synchronize()  # the first call of a thread tells the driver which GPU it means
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._code = code  # stays: the driver may read it later
        self._module = ctypes.c_void_p()
        if error := self._driver.cuModuleLoadData(ctypes.byref(self._module), code):
            raise Unavailable(f"the driver does not load the kernels: CUDA error {error}")

    def kernel(self, name: str) -> "Kernel":
        """One that is declared extern "C". Raises Unavailable."""
        function = ctypes.c_void_p()
        if error := self._driver.cuModuleGetFunction(ctypes.byref(function), self._module, name.encode()):
            raise Unavailable(f"there is no kernel {name}: CUDA error {error}")
        return Kernel(name, function, self)


class Kernel:
    """Is called with the sizes of grid and block and its arguments, on torch's present stream."""

    def __init__(self, name: str, function: ctypes.c_void_p, module: Module) -> None:
        self._name, self._function, self._module = name, function, module

    def __call__(self, grid: Size, block: int, *arguments: torch.Tensor | int | float | None, shared: int = 0) -> None:
        """`shared`: bytes. Raises RuntimeError."""
        values = [as_passed(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        launch = self._module._driver.cuLaunchKernel  # noqa: SLF001
        if error := launch(self._function, *grid, block, 1, 1, shared, stream, pointers, None):
            raise RuntimeError(f"the kernel {self._name} could not be started: CUDA error {error}")


def as_passed(argument: torch.Tensor | int | float | None) -> ctypes.c_void_p | ctypes.c_int | ctypes.c_float:
    """As a kernel takes it: tensors and None are pointers, int and float are 32 bits wide."""
    if isinstance(argument, torch.Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, int):
        return ctypes.c_int(argument)
    return ctypes.c_void_p(None) if argument is None else ctypes.c_float(argument)


def _nvrtc() -> ctypes.CDLL:
    major = (torch.version.cuda or "").partition(".")[0]
    name = f"libnvrtc.so.{major}"
    packaged = Path(torch.__file__).parents[1] / "nvidia" / f"cu{major}" / "lib" / name
    for place in (str(packaged), name):
        try:
            return ctypes.CDLL(place)
        except OSError as error:
            why = error
    raise Unavailable(f"there is no {name}: {why}")


def _check(nvrtc: ctypes.CDLL, error: int) -> None:
    if error:
        raise Unavailable(f"NVRTC error {error}")


def _text(nvrtc: ctypes.CDLL, function: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"{function}Size")(program, ctypes.byref(size)))
    found = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, function)(program, found))
    return found.raw
