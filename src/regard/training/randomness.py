"""The state of torch's random number generators as one tensor: the CPU's, then the GPU's if one is used."""

import torch
from torch import Tensor


def random_state(device: torch.device) -> Tensor:
    """Return the state of the random number generators of the CPU and of a device, in bytes."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    # One tensor of bytes, which processes can gather and a safetensors file can hold.
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Restore what `random_state` returned. The state of another kind of device is ignored."""
    of_cpu = len(torch.get_rng_state())
    torch.set_rng_state(state[:of_cpu])
    if device.type == "cuda" and len(state) > of_cpu:
        torch.cuda.set_rng_state(state[of_cpu:], device)
