"""Networks from files: ours, the authors' by their own network's code, and what is none."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from datagen.network.model import build_network
from datagen.training.checkpoint import save_checkpoint
from datagen.training.weights import load_network, read_weights, state_dict
from nasbench_ar import ResultsError, SearchSpace

SPACE = SearchSpace((1, 2, 3), (1, 2, 4), stages=3, unit_channels=4)
NAME = "2-1-1-4-3-2"  # the first stage has no shortcut


class TheirBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        out: Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (self.shortcut(active) if hasattr(self, "shortcut") else x)


class TheirStage(nn.Module):
    def __init__(self, blocks: list[TheirBlock]) -> None:
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


class TheirNetwork(nn.Module):
    """The network of facts and names that the authors published; depths and channels of three stages."""

    def __init__(self, depths: tuple[int, ...], channels: tuple[int, ...], stem: int, classes: int = 10) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, stem, 3, 1, 1, bias=False)
        inputs, stages = stem, []
        for number, (depth, outputs) in enumerate(zip(depths, channels, strict=True)):
            blocks = [TheirBlock(inputs if k == 0 else outputs, outputs, 1 + (k == 0 < number)) for k in range(depth)]
            stages.append(TheirStage(blocks))
            inputs = outputs
        self.blocks = nn.Sequential(*stages)
        self.norm1 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.blocks(self.stem_conv(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def theirs() -> TheirNetwork:
    """With running statistics that are not those of a fresh network."""
    random = torch.Generator().manual_seed(0)
    network = TheirNetwork((2, 1, 3), (4, 32, 32), 4)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=random) - (0.5 if tensor.ndim > 1 else -0.5))
    return network.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "parallel", "compiled", "half"])
def test_the_authors_files(theirs: TheirNetwork, images: Tensor, tmp_path: Path, wrap: str) -> None:
    state: Any = theirs.state_dict()
    if wrap == "parallel":
        state = {f"module.{name}": tensor for name, tensor in state.items()}
    if wrap == "compiled":
        state = {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()}
    if wrap == "half":
        state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    torch.save({"state_dict": state, "epoch": 77} if wrap == "state_dict" else state, tmp_path / "theirs.pth")
    network = load_network(tmp_path / "theirs.pth", NAME)
    assert str(network.architecture) == NAME
    assert not network.training
    wanted = theirs(images)
    assert wanted.std() > 0.1
    torch.testing.assert_close(network(images), wanted, rtol=1e-2 if wrap == "half" else 1e-5, atol=1e-2)
    assert network(images).dtype == torch.float32
    if wrap == "plain":
        back = state_dict(network, "authors")
        assert list(back) == list(state)
        assert all(torch.equal(back[name], state[name]) for name in state)
        theirs.load_state_dict(back)


def test_ours_from_checkpoints_and_plain_files(images: Tensor, tmp_path: Path) -> None:
    ours = build_network(SPACE, NAME, seed=3).eval()
    ours.norm.running_mean += 1
    identity = {"architecture": NAME, "seed": 0}
    state = {"identity": identity, "epoch": 0, "network": ours.state_dict(), "history": {"a": [1.0]}, "seconds": 1.0}
    save_checkpoint(tmp_path / "best.pt", state)
    torch.save(state_dict(ours), tmp_path / "plain.pth")
    for name in ("best.pt", "plain.pth"):
        network = load_network(tmp_path / name)
        assert torch.equal(network(images), ours(images))
        assert (network.space.unit_channels, network.space.classes, network.space.macs(NAME)) == (
            4,
            10,
            SPACE.macs(NAME),
        )
    assert all(weight.requires_grad for weight in network.parameters())
    damaged = torch.load(tmp_path / "best.pt", weights_only=True)
    damaged["network"]["stem.weight"][0] += 1
    torch.save(damaged, tmp_path / "best.pt")
    with pytest.raises(ResultsError, match="does not match its digest"):
        load_network(tmp_path / "best.pt")


@pytest.mark.parametrize("names", ["ours", "authors"])
def test_counts_of_batches_may_be_missing(images: Tensor, tmp_path: Path, names: str) -> None:
    ours = build_network(SPACE, NAME, seed=3).eval()
    state = {k: v for k, v in state_dict(ours, names).items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "file.pth")
    network = load_network(tmp_path / "file.pth")
    assert torch.equal(network(images), ours(images))
    assert network.state_dict().keys() == ours.state_dict().keys()
    assert network.norm.num_batches_tracked == 0


def without(name: str, **more: Tensor) -> dict[str, Tensor]:
    state = state_dict(build_network(SPACE, NAME, seed=0))
    return {key: tensor for key, tensor in state.items() if key != name} | more


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("norm.bias"), "lacks 'norm.bias' for a network 2-1-1-4-3-2"),
        (without("stem.weight"), "has no network of the space .*'stem.weight'.*module="),
        (without("", extra=torch.zeros(1)), "also has 'extra' for a network"),
        (without("", **{"linear.bias": torch.zeros(3)}), "has another shape or type of 'linear.bias'"),
        (
            without("", **{"linear.bias": torch.zeros(10, dtype=torch.int64)}),
            "has another shape or type of 'linear.bias'",
        ),
        (without("", **{"linear.bias": torch.full((10,), torch.nan)}), "linear.bias is not finite"),
        (without("", **{"norm.running_var": torch.full((32,), -1.0)}), "norm.running_var is negative"),
        (without("", **{"stem.weight": torch.zeros(400, 3, 3, 3)}), "has no network of the space"),
        (without("", **{"stem.weight": torch.zeros(0, 3, 3, 3)}), "has no network of the space"),
        (without("", **{"stem.weight": torch.zeros(())}), "has no network of the space"),
        (without("", **{"linear.weight": torch.zeros(())}), "has no network of the space"),
        ({"conv.weight": torch.zeros(1)}, "has no network of the space .*begin with 'conv.weight'"),
        ({}, "has no state dict: expected names and tensors"),
        ([torch.zeros(1)], "has no state dict"),
        ({"state_dict": {"a": 1}}, "has no state dict"),
        (
            {"model": build_network(SPACE, NAME, seed=0)},
            "is no file of weights that PyTorch reads without running code",
        ),
    ],
)
def test_what_is_no_network_of_the_space(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(ResultsError, match=message) as caught:
        load_network(tmp_path / "file.pth")
    assert "\n" not in str(caught.value)
    assert "file.pth" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": 1}), b"PK\x03\x04"])
def test_files_of_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(ResultsError, match=r"file.pth (is no file of weights|has no state dict)"):
        read_weights(tmp_path / "file.pth")


def test_another_architecture_and_no_file(tmp_path: Path) -> None:
    torch.save(without(""), tmp_path / "file.pth")
    with pytest.raises(ResultsError, match="has the weights of 2-1-1-4-3-2, not of 5-10-5-10-5-10"):
        load_network(tmp_path / "file.pth", "WRN-34-10")
    with pytest.raises(ResultsError, match="cannot read .*none.pth"):
        load_network(tmp_path / "none.pth")
