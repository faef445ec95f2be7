"""Device, threads and allocator: decided once, at the start of a command, and said in one line."""

import ctypes
import os
import platform
import time
from dataclasses import dataclass
from typing import Literal

import torch

from regard.errors import ConfigError

KEPT_SHAPES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": 144, "LRU_CACHE_CAPACITY": 16}
"""For how many shapes of a product oneDNN, and PyTorch for it, keep what they have prepared.

An update takes up to 128 different products. Those of the optimiser come again with every update, and preparing them
costs as much as computing them; those of a batch hardly ever do.
"""

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

    Raises ConfigError if the device is unknown or absent, or if there are more processes than GPUs.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device is '{device}'; it must be auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but PyTorch sees no GPU here. Use --device cpu, or install a CUDA build.")
    keep_freed_memory()
    keep_few_shapes()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    if device == "cpu" or not torch.cuda.is_available():
        return Runtime(torch.device("cpu"), torch.get_num_threads())
    if (n_processes := int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) > (n_devices := torch.cuda.device_count()):
        raise ConfigError(
            f"There are {n_processes} processes on this machine, and PyTorch sees {n_devices} GPU(s); each needs one. "
            f"Use torchrun --nproc-per-node {n_devices}, or --device cpu."
        )
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # of several, torchrun says which
    torch.cuda.set_device(own)
    torch.set_float32_matmul_precision("high")  # products of float32 take TF32 where the GPU has it
    return Runtime(own, torch.get_num_threads())


Precision = Literal["float32", "bfloat16"]


def choose_precision(device: torch.device, width: int) -> tuple[Precision, str]:
    """Return the type of numbers in which the products of a training are fastest here, and a sentence with the reason.

    width: of the model's layers. A GPU has bfloat16 or has not; on a CPU it is measured, for 50 ms.
    """
    if not has_bfloat16(device):
        return "float32", f"float32, since this {device.type} has no bfloat16"
    if device.type == "cuda":
        return "bfloat16", "bfloat16 for products and float32 for sums and weights, since this GPU has both"
    faster = layers_a_second(width, torch.bfloat16) / layers_a_second(width, torch.float32)
    measured = f"a layer of this width was measured to be {faster:.2g} times as fast in bfloat16 here"
    if faster > 1:
        return "bfloat16", f"bfloat16 for products and float32 for sums and weights: {measured}"
    return "float32", f"float32: {measured}"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether all layers can be computed in bfloat16 there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not torch.backends.mkldnn.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def layers_a_second(width: int, dtype: torch.dtype, seconds: float = 0.025) -> float:
    """Return how many linear layers of a width a CPU trains in a second, on 1,024 positions, with products in `dtype`.

    Autocast turns numbers into bfloat16 and back again, which costs narrow layers more than their products gain.
    """
    layer, positions = torch.nn.Linear(width, width), torch.ones(1024, width)

    def train() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            outputs = layer(positions)
        outputs.sum().backward()

    train()  # the first one of a type prepares the library
    n_layers, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        train()
        n_layers += 1
    return n_layers / passed


def keep_freed_memory() -> None:
    """Tell glibc to keep big freed blocks instead of returning them to the kernel.

    Otherwise every large tensor is paged in anew at each allocation, which made the output layer and its loss three
    times slower where it was measured. A glibc before 2.35 keeps none above half a heap of its own, 32 MiB. Other C
    libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc" or os.environ.get("MALLOC_MMAP_THRESHOLD_"):
        return
    libc = ctypes.CDLL(None)
    largest = 2**31 - 1  # mallopt takes an int
    libc.mallopt(_M_MMAP_THRESHOLD, largest) or libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
    libc.mallopt(_M_TRIM_THRESHOLD, largest)
    libc.mallopt(_M_TOP_PAD, 64 * 2**20)


def keep_few_shapes() -> None:
    """Tell oneDNN, which computes in bfloat16 on a CPU, to keep what it prepares for the products of one update.

    By default it keeps that of a thousand, and a training grows by 10 MB a step, to gigabytes; with this it does not,
    and is no slower. What the user has set stays.
    """
    for cache, capacity in KEPT_SHAPES.items():
        os.environ.setdefault(cache, str(capacity))
