"""An exponential moving average of a network while it trains: of its weights and of its batch norms' statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@torch.no_grad()
def follow(network: nn.Module, average: dict[str, Tensor], kept: float) -> None:
    """average = kept * average + (1 - kept) * network; the first call copies the network."""
    state = network.state_dict()
    if not average:
        average.update({name: tensor.clone() for name, tensor in state.items()})
        return
    floats = [name for name, tensor in state.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([average[name] for name in floats], [state[name] for name in floats], 1 - kept)
    for name in state.keys() - set(floats):  # counts of batches
        average[name].copy_(state[name])


@contextmanager
def standing_in(network: nn.Module, average: dict[str, Tensor]) -> Iterator[None]:
    """Let a network have the values of its average, if there is one."""
    _swap(network, average)
    try:
        yield
    finally:
        _swap(network, average)


@torch.no_grad()
def _swap(network: nn.Module, average: dict[str, Tensor]) -> None:
    state = network.state_dict()
    for name, tensor in average.items():
        own = state[name].clone()
        state[name].copy_(tensor)
        tensor.copy_(own)
