"""A network together with how it is run: precision, memory layout, compiled or not.

Training, attacks and evaluation all take a `Classifier`, so they cannot disagree on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Classifier:
    """Float32 logits of (n, channels, side, side) images in [0, 1]; the state of the plain `network` is saved."""

    def __init__(
        self,
        network: nn.Module,
        *,
        precision: str = "float32",
        channels_last: bool = False,
        compiled: bool = False,
    ) -> None:
        self.network = network
        self.precision = precision
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            network.to(memory_format=torch.channels_last)
        self._run = torch.compile(network, dynamic=False) if compiled else network

    @property
    def device(self) -> torch.device:
        return next((p.device for p in self.network.parameters()), torch.device("cpu"))

    def laid_out(self, images: Tensor) -> Tensor:
        """The images in the network's memory layout; the very tensor where it has it already."""
        return images.contiguous(memory_format=self.layout)

    def __call__(self, images: Tensor) -> Tensor:
        """(n, classes) float32 logits."""
        images = self.laid_out(images)
        if self.precision != "bf16":
            logits: Tensor = self._run(images)
            return logits
        with torch.autocast(images.device.type, torch.bfloat16):
            logits = self._run(images)
        return logits.float()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Evaluation mode without gradients to any weight; restores both on leaving."""
        modules = [(module, module.training) for module in self.network.modules()]
        weights = [(weight, weight.requires_grad) for weight in self.network.parameters()]
        self.network.eval().requires_grad_(False)
        try:
            yield
        finally:
            for module, training in modules:
                module.training = training
            for weight, wanted in weights:
                weight.requires_grad_(wanted)


@contextmanager
def float32_rule(precision: str) -> Iterator[None]:
    """Let float32 convolutions on CUDA round to TF32 with `tf32` and `bf16`, not with `float32`."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    allowed = precision != "float32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
