"""The network against the closed forms, counted layer by layer, and its initialisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from datagen.network.model import Block, WideResNet, as_unit_floats, build_network
from nasbench_ar import NARES, SearchSpace

DIGITS = SearchSpace(unit_channels=1, image_size=8, image_channels=1)
ODD = SearchSpace((1, 3), (1, 2, 5), stages=4, unit_channels=3, image_size=13, image_channels=2, classes=7)
CASES = [
    *((NARES, text) for text in ("4-8-4-8-4-8", "5-10-5-10-5-10", "11-16-11-16-11-16", "4-16-11-8-7-12")),
    *((DIGITS, text) for text in ("4-8-4-8-4-8", "11-8-4-16-9-10")),
    *((ODD, text) for text in ("1-1-1-1-1-1-1-1", "3-5-1-2-3-1-1-5", "1-2-3-1-1-1-3-1")),
]


def count(network: nn.Module, images: Tensor) -> tuple[int, int]:
    """Parameters, and MACs as the authors count them, seen by hooks during one forward pass."""
    macs = 0

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        if isinstance(layer, nn.Conv2d):
            per_output = layer.kernel_size[0] * layer.kernel_size[1] * layer.in_channels // layer.groups
            macs += output[0].numel() * per_output + (output[0].numel() if layer.bias is not None else 0)
        elif isinstance(layer, nn.Linear):
            macs += layer.in_features * layer.out_features + layer.in_features  # with the pooling before it
        elif isinstance(layer, nn.BatchNorm2d):
            macs += output[0].numel()

    handles = [layer.register_forward_hook(hook) for layer in network.modules()]
    network(images)
    for handle in handles:
        handle.remove()
    return sum(weight.numel() for weight in network.parameters()), macs


@pytest.mark.parametrize(("space", "text"), CASES)
def test_parameters_and_macs_equal_the_closed_forms(space: SearchSpace, text: str) -> None:
    with torch.device("meta"):
        network = WideResNet(space, space.parse(text))
        images = torch.empty(1, space.image_channels, space.image_size, space.image_size)
    assert count(network, images) == (space.params(text), space.macs(text))


def test_a_block_computes_what_the_paper_says() -> None:
    torch_random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 5, generator=torch_random)
    plain, projected = Block(3, 3, 1).eval(), Block(3, 4, 2).eval()
    assert plain.shortcut is None
    with torch.no_grad():
        active = torch.relu(plain.norm1(x))
        inner = plain.conv2(torch.relu(plain.norm2(plain.conv1(active))))
        torch.testing.assert_close(plain(x), x + inner)  # identity on the raw input
        active = torch.relu(projected.norm1(x))
        inner = projected.conv2(torch.relu(projected.norm2(projected.conv1(active))))
        assert projected.shortcut is not None
        torch.testing.assert_close(projected(x), projected.shortcut(active) + inner)  # on the activated one
        assert projected(x).shape == (2, 4, 3, 3)


def test_initialisation() -> None:
    network = build_network(NARES, "4-8-4-8-4-8", seed=0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 10_000:
            wanted = math.sqrt(2 / (layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels))
            assert layer.weight.std().item() == pytest.approx(wanted, rel=0.03)
            assert abs(layer.weight.mean().item()) < wanted / 20
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()
            assert (layer.running_mean == 0).all()
            assert (layer.running_var == 1).all()
    assert (network.linear.bias == 0).all()
    assert network.linear.weight.abs().max() <= 1 / math.sqrt(512)


def test_the_seed_decides_and_the_global_generator_does_not() -> None:
    before = torch.get_rng_state()
    states = [build_network(DIGITS, "4-8-4-8-4-8", seed=seed).state_dict() for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["stem.weight"], states[2]["stem.weight"])


def test_autocast_rounds_neither_pixels_nor_logits() -> None:
    network = build_network(DIGITS, "4-8-4-8-4-8", seed=0).eval().requires_grad_(False)
    seen: dict[str, torch.dtype] = {}
    for name in ("stem", "stages.1.0.conv1", "linear"):
        layer = network.get_submodule(name)
        layer.register_forward_hook(lambda layer, inputs, output, name=name: seen.__setitem__(name, output.dtype))
    images = torch.full((1, 1, 8, 8), 200 / 255)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    assert seen == {"stem": torch.float32, "stages.1.0.conv1": torch.bfloat16, "linear": torch.float32}
    assert not torch.equal(logits, logits.bfloat16().float())


def test_the_network_takes_bytes_and_unit_floats_alike() -> None:
    network = build_network(DIGITS, "4-8-4-8-4-8", seed=0).eval()
    pixels = torch.arange(2 * 64, dtype=torch.uint8).reshape(2, 1, 8, 8)
    floats = as_unit_floats(pixels)
    assert floats.dtype == torch.float32
    assert floats.max() == 127 / 255
    assert as_unit_floats(floats) is floats
    torch.testing.assert_close(network(pixels), network(floats))
