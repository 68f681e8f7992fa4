"""How fast a device multiplies matrices: what the speed of a training is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from datagen.network.classifier import AUTOCAST, float32_rule
from datagen.seeds import generator


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of one call, the device's queue included."""
    synchronise(device)
    began = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began


def matmul_rate(device: torch.device, precision: str) -> float:
    """Operations a second of a large square matrix product, the best of several."""
    size = 8192 if device.type == "cuda" else 2048
    random = generator(0, "matrices", device=device)
    kind = AUTOCAST.get(precision, torch.float32)
    a, b = (torch.randn(size, size, generator=random, device=device).to(kind) for _ in range(2))
    with float32_rule(precision):
        if precision == "tf32":  # which the rule leaves to convolutions
            torch.backends.cuda.matmul.allow_tf32 = True
        return 2 * size**3 / min(seconds(lambda: a @ b, device) for _ in range(10))
