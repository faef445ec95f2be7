"""The state of torch's random numbers as one tensor: the CPU's, and behind it the GPU's where one computes."""

import torch
from torch import Tensor


def random_state(device: torch.device) -> Tensor:
    """Return the state of the random numbers on the CPU and on a device, in bytes."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    # One tensor of bytes, which processes can gather and a safetensors file can hold.
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Take back what `random_state` returned; what it says of another kind of device is left aside."""
    of_cpu = len(torch.get_rng_state())
    torch.set_rng_state(state[:of_cpu])
    if device.type == "cuda" and len(state) > of_cpu:
        torch.cuda.set_rng_state(state[of_cpu:], device)
