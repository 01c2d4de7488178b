"""CUDA kernels compiled at run time by NVRTC, which torch brings: neither a compiler nor headers are needed.

torch's own function for this, `torch.cuda._compile_kernel`, wants an installed CUDA toolkit.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch

Size = tuple[int, int, int]
_EARLY = 6  # CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
# CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT (per cent)
_MOST_SHARED, _CARVEOUT = 8, 9


class _Attribute(ctypes.Structure):
    """CUlaunchAttribute of the driver's header."""

    _fields_ = (("id", ctypes.c_int), ("pad", ctypes.c_char * 4), ("value", ctypes.c_int), ("rest", ctypes.c_char * 60))


class _Config(ctypes.Structure):
    """CUlaunchConfig of the driver's header."""

    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("count", ctypes.c_uint),
    )


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

    def __init__(self, code: bytes, *, early: bool) -> None:
        """`early`: each begins while the last one still computes, for which the GPU has to be sm_90 or later.

        Raises Unavailable.
        """
        self.early = early
        torch.cuda.synchronize()  # the first call of a thread tells the driver which GPU it means
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._code = code  # stays: the driver may read it later
        self._module = ctypes.c_void_p()
        if error := self._driver.cuModuleLoadData(ctypes.byref(self._module), code):
            raise Unavailable(f"the driver does not load the kernels: CUDA error {error}")

    def kernel(self, name: str, shared: int = 0) -> "Kernel":
        """One that is declared extern "C"; `shared`: bytes that it may be called with. Raises Unavailable."""
        function = ctypes.c_void_p()
        if error := self._driver.cuModuleGetFunction(ctypes.byref(function), self._module, name.encode()):
            raise Unavailable(f"there is no kernel {name}: CUDA error {error}")
        # A processor computes blocks of two kernels at once only if it shares its memory in the same way for both.
        for attribute, value in ((_MOST_SHARED, shared), (_CARVEOUT, 100 if self.early else -1)):
            if error := self._driver.cuFuncSetAttribute(function, attribute, value):
                raise Unavailable(f"the kernel {name} cannot have attribute {attribute} = {value}: CUDA error {error}")
        return Kernel(name, function, self)


class Kernel:
    """Is called with the sizes of grid and block and its arguments, on torch's present stream."""

    def __init__(self, name: str, function: ctypes.c_void_p, module: Module) -> None:
        self._name, self._function, self._module = name, function, module

    def __call__(self, grid: Size, block: int, *arguments: torch.Tensor | int | float | None, shared: int = 0) -> None:
        """`shared`: bytes. Raises RuntimeError."""
        values = [as_passed(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        config = _Config(grid, (block, 1, 1), shared, torch.cuda.current_stream().cuda_stream)
        if self._module.early:
            config.attributes, config.count = ctypes.pointer(_Attribute(_EARLY, b"", 1)), 1
        launch = self._module._driver.cuLaunchKernelEx  # noqa: SLF001
        if error := launch(ctypes.byref(config), self._function, pointers, None):
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
