"""Where a model computes, and what is fast there. Nothing here is decided by measuring time.

`choose_device` and `choose_precision` change nothing. `prepare_process` changes the whole process, so the command line
calls it and the library never does; a Python program that trains may call it once at its start.
"""

import ctypes
import os
import platform
from typing import Literal

import torch

from regard.errors import ConfigError
from regard.waiting import sleep_beside_others

KEPT_SHAPES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": 144, "LRU_CACHE_CAPACITY": 16}
"""For how many shapes of a product oneDNN, and PyTorch for it, cache what they have prepared.

An update has up to 128 different products. Those of the optimiser recur in every update, and preparing them takes as
long as computing them; those of a batch hardly ever recur.
"""

# glibc's mallopt parameters, from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def choose_device(device: str = "auto") -> torch.device:
    """Return the device of that name: "auto", "cpu" or "cuda"; of several GPUs, the one that `torchrun` assigned.

    Raises ConfigError if it is unknown or absent, or if there are more processes than GPUs.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device is '{device}'; it must be auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but PyTorch sees no GPU here.", ways=["device"])
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if (n_processes := int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) > (n_devices := torch.cuda.device_count()):
        raise ConfigError(
            f"There are {n_processes} processes on this machine, and PyTorch sees {n_devices} GPU(s); each needs one. "
            f"Use torchrun --nproc-per-node {n_devices}.",
            ways=["device"],
        )
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def described(device: torch.device) -> str:
    """Return a device in words."""
    return f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def prepare_process() -> None:
    """Set what is fast for training and decoding in this process: allocator, oneDNN's cache, waiting, TF32 on a GPU.

    Only TF32 changes results. Without this everything works, but training is up to three times slower on Linux, and
    slower still beside other programs. Call it in the thread that computes.
    """
    keep_freed_memory()
    keep_few_shapes()
    sleep_beside_others()
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # products of float32 take TF32 where the GPU has it


Precision = Literal["float32", "bfloat16"]
Instructions = Literal["amx", "avx512_bf16", "none"]

NARROWEST: dict[Instructions, tuple[int, int] | None] = {"amx": (128, 64), "avx512_bf16": (192, 96), "none": None}
"""The width from which training is faster in bfloat16, by a processor's instructions (benchmarks/precision.py).

The first is for models with a loop over positions, whose many small products gain less; the second for the others.
"""


def choose_precision(device: torch.device, width: int, in_one_graph: bool) -> tuple[Precision, str]:
    """Return the precision in which the products of a training are fastest there, and a sentence with the reason.

    width: of the model's layers. in_one_graph: whether it has no loop over positions. A GPU uses bfloat16 if it has it.
    For a CPU a table decides, not a measurement, whose result would be random on a busy machine.
    """
    if device.type == "cuda":
        if has_bfloat16(device):
            return "bfloat16", "bfloat16 for products and float32 for sums and weights, since this GPU has both"
        return "float32", "float32, since this GPU has no bfloat16"
    instructions = bfloat16_instructions()
    narrowest = NARROWEST[instructions]
    if narrowest is None:
        return "float32", "float32, since this processor has no instructions for bfloat16"
    if width < narrowest[in_one_graph]:
        return (
            "float32",
            f"float32: with {instructions}, bfloat16 is faster from a width of {narrowest[in_one_graph]} on",
        )
    return (
        "bfloat16",
        f"bfloat16 for products and float32 for sums and weights: faster with {instructions} at this width",
    )


def bfloat16_instructions() -> Instructions:
    """Return which instructions for products in bfloat16 PyTorch can use on this processor."""
    # Only oneDNN uses them for PyTorch's products.
    if not torch.backends.mkldnn.is_available():
        return "none"
    if torch.cpu._is_amx_tile_supported():
        return "amx"
    return "avx512_bf16" if torch.cpu._is_avx512_bf16_supported() else "none"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether all layers can be computed in bfloat16 there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not torch.backends.mkldnn.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def memory_bytes() -> int | None:
    """Return how much memory this machine has, or None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, others not these names
        return None


def keep_freed_memory() -> None:
    """Tell glibc to keep big freed blocks instead of returning them to the kernel.

    Otherwise every large tensor is paged in again at each allocation, which was measured to make the output layer and
    its loss three times slower. A glibc before 2.35 keeps no blocks above half a heap of its own, 32 MiB. Other C
    libraries are not changed.
    """
    # What the user has set stays.
    if platform.libc_ver()[0] != "glibc" or os.environ.get("MALLOC_MMAP_THRESHOLD_"):
        return
    libc = ctypes.CDLL(None)
    largest = 2**31 - 1  # mallopt takes an int
    # mallopt returns 0 for a value that it does not accept.
    libc.mallopt(_M_MMAP_THRESHOLD, largest) or libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
    libc.mallopt(_M_TRIM_THRESHOLD, largest)
    libc.mallopt(_M_TOP_PAD, 64 * 2**20)


def release_memory() -> None:
    """Return what is free to the kernel, once: after work that took much memory and that is not repeated."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def keep_few_shapes() -> None:
    """Tell oneDNN, which computes in bfloat16 on a CPU, to cache what it prepares for the products of one update only.

    By default it caches that of a thousand products, and the memory of a training grows by 10 MB per step, to
    gigabytes; with this it does not grow, and training is no slower. What the user has set stays.
    """
    for cache, capacity in KEPT_SHAPES.items():
        os.environ.setdefault(cache, str(capacity))
