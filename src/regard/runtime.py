"""Device, threads and allocator: decided once, at the start of a command, and said in one line."""

import ctypes
import os
import platform
import time
from dataclasses import dataclass
from typing import Literal

import torch

from regard.errors import ConfigError

WORTH_IT = 1.5
"""How many times as fast bfloat16 must be on a CPU to be worth its fewer digits."""

# glibc's mallopt parameters, from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where the arithmetic happens."""

    device: torch.device
    n_threads: int

    def __str__(self) -> str:
        return f"cpu, {self.n_threads} threads" if self.device.type == "cpu" else self.device.type


def prepare_runtime(device: str = "auto", n_threads: int | None = None) -> Runtime:
    """Set the allocator and the threads of this process and return what was chosen.

    Raises ConfigError if the device is unknown or absent.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device is '{device}'; it must be auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but PyTorch sees no GPU here. Use --device cpu, or install a CUDA build.")
    keep_freed_memory()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    if device == "cpu" or not torch.cuda.is_available():
        return Runtime(torch.device("cpu"), torch.get_num_threads())
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # of several, torchrun says which
    torch.cuda.set_device(own)
    torch.set_float32_matmul_precision("high")  # products of float32 take TF32 where the GPU has it
    return Runtime(own, torch.get_num_threads())


Precision = Literal["float32", "bfloat16"]


def choose_precision(device: torch.device) -> tuple[Precision, str]:
    """Return the type of numbers in which the products of a training are fastest here, and a sentence with the reason.

    A GPU has bfloat16 or has not; on a CPU it is measured, for 50 ms.
    """
    if not has_bfloat16(device):
        return "float32", f"float32, since this {device.type} has no bfloat16"
    if device.type == "cuda":
        return "bfloat16", "bfloat16 for products and float32 for sums and weights, since this GPU has both"
    faster = products_a_second(torch.bfloat16) / products_a_second(torch.float32)
    measured = f"a product in bfloat16 was measured to be {faster:.2g} times as fast here"
    if faster >= WORTH_IT:
        return "bfloat16", f"bfloat16 for products and float32 for sums and weights: {measured}"
    return "float32", f"float32: {measured}"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether all layers can be computed in bfloat16 there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not torch.backends.mkldnn.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def products_a_second(dtype: torch.dtype, seconds: float = 0.025) -> float:
    """Return how many products of two 256 x 256 matrices the CPU computes in a second."""
    matrix = torch.ones(256, 256, dtype=dtype)
    matrix @ matrix  # the first one of a type prepares the library
    n_products, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        matrix @ matrix
        n_products += 1
    return n_products / passed


def keep_freed_memory() -> None:
    """Tell glibc to keep big freed blocks instead of returning them to the kernel.

    Otherwise every large tensor is paged in anew at each allocation, which made the output layer and its loss three
    times slower where it was measured. Other C libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc" or os.environ.get("MALLOC_MMAP_THRESHOLD_"):
        return
    libc = ctypes.CDLL(None)
    largest = 2**31 - 1  # mallopt takes an int
    for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        libc.mallopt(parameter, largest)
    libc.mallopt(_M_TOP_PAD, 64 * 2**20)
