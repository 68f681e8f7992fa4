"""`datagen.evaluate`: what an entry has of its network, other people's networks, and what cannot be attacked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datagen import evaluate
from datagen.store.entry import read_entry
from datagen.training.weights import load_network, state_dict
from tests.datagen.conftest import Command
from tests.datagen.images.test_cifar import folder100  # noqa: F401

ATTACK = [
    "attack.pgd_steps=2",
    "attack.cw_steps=2",
    "attack.autoattack=compact",
    "attack.precision=float32",
    "device=cpu",
]


@pytest.fixture
def images(arrays: Path) -> list[str]:
    return ["profile=arrays", f"data.file={arrays}", *ATTACK]


def test_a_checkpoint_has_what_its_entry_says(
    words: list[str], images: list[str], command: Command, tmp_path: Path
) -> None:
    assert command(*words, "attack.autoattack=compact")[0] == 0
    entry = read_entry(tmp_path / "store/entries/1-1-1-1-seed0.json")
    best = tmp_path / "store" / "work" / "1-1-1-1-seed0" / "best.pt"
    torch.save(state_dict(load_network(best), "authors"), tmp_path / "theirs.pth")
    for path in (best, tmp_path / "theirs.pth"):
        out = tmp_path / "found.json"
        arch = ["arch=1-1-1-1"] if path == best else []
        code, text, _ = command(f"checkpoint={path}", *arch, f"out={out}", *images, main=evaluate.main)
        assert code == 0
        assert text.splitlines()[0] == "1-1-1-1: 48 test images of stripes.npz"
        found = json.loads(out.read_text())
        assert found["network"]["arch"] == "1-1-1-1"
        assert found["test"] == entry.test
        assert found["sanity"] == entry.sanity
        masks = {name: np.array(list(bits)) == "1" for name, bits in found["masks"].items()}
        assert masks.keys() == entry.masks.keys()
        assert all((masks[name] == entry.masks[name]).all() for name in masks)
        assert f"test_pgd_acc         {entry.test['test_pgd_acc']:10.4f}" in text
        assert found["config"]["attack.pgd_steps"] == 2
        same = {key: entry.provenance[key] for key in ("evaluation_batch", "hardware", "git_commit", "versions")}
        assert found["provenance"] == {"precision": "float32", **same}


class Mean(nn.Module):
    """Any network: four logits of the mean pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2, 3, 4]))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None] * self.weight


class Undefined(Mean):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.nan


class Cut(Mean):
    """It has no gradients."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class InPlace(Mean):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.sub_(0.5))


def three_classes() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))


def broken() -> nn.Module:
    raise RuntimeError("no weights here")


MEAN = Mean()
NUMBER = 3


@pytest.mark.parametrize("name", ["Mean", "MEAN"])
def test_any_module_by_its_dotted_path(images: list[str], command: Command, name: str) -> None:
    code, text, _ = command(f"module={__name__}.{name}", *images, main=evaluate.main)
    assert code == 0
    # The mean is positive, so that the last class wins for every image, whatever small perturbation.
    assert [line.split()[-1] for line in text.splitlines()[1:] if "clean_acc" in line or "pgd_acc" in line] == [
        "25.0000"
    ] * 2


def test_weights_for_a_module(images: list[str], command: Command, tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.weight": torch.tensor([4.0, 3, 2, 1])}}, tmp_path / "w.pth")
    words: list[Any] = [f"module={__name__}.Mean", f"checkpoint={tmp_path / 'w.pth'}", *images]
    code, text, _ = command(*words, main=evaluate.main)
    assert (code, "test_clean_acc          25.0000" in text) == (0, True)
    torch.save({"bias": torch.zeros(4)}, tmp_path / "w.pth")
    code, _, error = command(*words, main=evaluate.main)
    assert (code, "does not fit module=" in error, "bias" in error) == (2, True, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "checkpoint= is missing: give a file of weights, or module="),
        (["checkpoint=none.pt"], "cannot read none.pt"),
        (["checkpoint=none.pt", "arch=5"], "not an architecture"),
        (["module=Mean"], "module=Mean: expected the dotted path of a torch.nn.Module"),
        (["module=no.such.module"], "module=no.such.module: ModuleNotFoundError"),
        ([f"module={__name__}.nothing"], "AttributeError"),
        ([f"module={__name__}.NUMBER"], "TypeError"),
        ([f"module={__name__}.broken"], "RuntimeError: no weights here"),
        ([f"module={__name__}.three_classes"], "returns (2, 3) for 2 images of stripes.npz: expected one of (3, 8, 8)"),
        ([f"module={__name__}.Mean", "arch=WRN-34-10"], "a module= has no architecture of the space; leave it out"),
        ([f"module={__name__}.Mean", "train.epochs=3"], "unknown key 'train.epochs'"),
        (
            [f"module={__name__}.Mean", "out=no/folder/x.json"],
            "x.json: cannot be written: No such file",
        ),
        ([f"module={__name__}.Mean", "device=all"], "device=all: expected auto, cpu, cuda"),
        (["module=torch.nn.Identity"], "returns (2, 3, 8, 8) for 2 images"),
        (["module=torch.nn.Linear"], "TypeError"),
        ([f"module={__name__}.Cut"], "that is differentiable and leaves them unchanged (element 0 of tensors"),
        ([f"module={__name__}.InPlace"], "that is differentiable and leaves them unchanged (a leaf Variable"),
    ],
)
def test_wrong_words(images: list[str], command: Command, words: list[str], message: str) -> None:
    code, out, error = command(*images, *words, main=evaluate.main)
    assert (code, out) == (2, "")
    assert error.count("\n") == 1
    assert message in error


def test_a_network_that_returns_nan(images: list[str], command: Command, tmp_path: Path) -> None:
    words = [f"module={__name__}.Undefined", "attack.autoattack=none", f"out={tmp_path / 'found.json'}"]
    code, out, error = command(*images, *words, main=evaluate.main)
    assert (code, out) == (2, "")
    assert error.endswith("error: the test is not finite: test_loss, test_pgd_lip, test_cw_lip\n")
    assert not (tmp_path / "found.json").exists()


def test_a_network_of_other_images(images: list[str], command: Command, tmp_path: Path) -> None:
    from datagen.network.model import build_network
    from nasbench_ar import SearchSpace

    gray = build_network(SearchSpace((1,), (1,), stages=2, image_channels=1, image_size=8), "1-1-1-1", seed=0)
    torch.save(state_dict(gray), tmp_path / "gray.pth")
    code, _, error = command(f"checkpoint={tmp_path / 'gray.pth'}", *images, main=evaluate.main)
    assert code == 2
    assert "the network does not take images of stripes.npz: expected one of (3, 8, 8) images" in error


def test_validation_images_are_not_needed(folder100: Path, command: Command, tmp_path: Path) -> None:  # noqa: F811
    """There are 50 training images, of which no 2,000 could be held out."""
    words = [f"module={__name__}.hundred", "profile=cifar100", f"data.folder={folder100}", *ATTACK]
    code, text, error = command(*words, main=evaluate.main)
    assert (code, error.count("error")) == (0, 0), error
    assert "10 test images of CIFAR-100" in text


def hundred() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 100))
