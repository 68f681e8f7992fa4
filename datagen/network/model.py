"""The wide residual network of an architecture, exactly as `nasbench_ar.cost` counts it (NARes, section 3.1).

A shortcut convolution takes the activated input.  The network takes pixels as uint8, or as
floats in [0, 1], where every attack works; it normalises nothing.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from datagen.seeds import generator
from nasbench_ar import Architecture, ArchitectureLike, SearchSpace


class Block(nn.Module):
    """One pre-activation residual block."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        projected = stride != 1 or channels_in != channels_out
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False) if projected else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, side, side) -> (n, channels_out, side / stride, side / stride)."""
        active = F.relu(self.norm1(x), inplace=True)
        out: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active)), inplace=True))
        return out + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """The network of one architecture; `initialise` must draw its weights."""

    def __init__(self, space: SearchSpace, architecture: Architecture) -> None:
        super().__init__()
        self.architecture, self.space = architecture, space
        channels = space.unit_channels
        self.stem = nn.Conv2d(space.image_channels, channels, 3, 1, 1, bias=False)
        stages = []
        for stage, (depth, width) in enumerate(zip(architecture.depths, architecture.widths, strict=True)):
            out = space.unit_channels * 2**stage * width
            strides = [1 if stage == 0 else 2] + [1] * (depth - 1)
            blocks = [Block(channels if k == 0 else out, out, stride) for k, stride in enumerate(strides)]
            stages.append(nn.Sequential(*blocks))
            channels = out
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, space.classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, classes) logits of uint8 images or floats in [0, 1], in the weights' type; stages follow an autocast.

        bfloat16 rounds bright pixels to 1/256, more than a step of PGD, and makes close logits equal.
        """
        with full_precision(x.device.type):
            x = self.stem(as_unit_floats(x))
        x = F.relu(self.norm(self.stages(x)), inplace=True)
        with full_precision(x.device.type):
            return self.linear(x.to(self.linear.weight.dtype).mean(dim=(2, 3)))


def full_precision(device_type: str) -> AbstractContextManager[object]:
    """Suspends an enclosing autocast, on devices that have one."""
    return torch.autocast(device_type, enabled=False) if device_type in ("cpu", "cuda") else nullcontext()


def as_unit_floats(images: Tensor) -> Tensor:
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def build_network(space: SearchSpace, architecture: ArchitectureLike, *, seed: int) -> WideResNet:
    """A freshly initialised network on the CPU; the same seed gives the same weights everywhere."""
    with torch.device("meta"):  # no weights are drawn, hence the global generator is left alone
        network = WideResNet(space, space.parse(architecture))
    network = network.to_empty(device="cpu")
    initialise(network, generator(seed, "weights"))
    return network


@torch.no_grad()
def initialise(network: nn.Module, random: torch.Generator) -> None:
    """Draw all weights: convolutions normal with std sqrt(2 / (k * k * C_out)), BN one, biases zero.

    The protocol does not specify the linear weight: it is uniform within 1 / sqrt(inputs), PyTorch's default.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            module.weight.normal_(0, math.sqrt(2 / fan_out), generator=random)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            module.weight.uniform_(-bound, bound, generator=random)
            module.bias.zero_()
