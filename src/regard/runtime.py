"""Device, threads and allocator: decided once, at the start of a command, and said in one line."""

import ctypes
import os
import platform
from dataclasses import dataclass

import torch

from regard.errors import ConfigError

# glibc's mallopt parameters, from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where the arithmetic happens."""

    device: torch.device
    n_threads: int

    def __str__(self) -> str:
        threads = f", {self.n_threads} threads" if self.device.type == "cpu" else ""
        return f"{self.device.type}{threads}, float32"


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
    return Runtime(own, torch.get_num_threads())


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
