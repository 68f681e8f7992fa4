"""Networks with closed-form answers, four kinds of stripes to learn, and the command as a user calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datagen import run
from datagen.config import RunConfig, parse_command_line
from datagen.network.classifier import Classifier

# A space of 16 small networks, trained for moments.
TINY = [
    "profile=arrays",
    "space.depth_choices=[1,2]",
    "space.width_choices=[1,2]",
    "space.stages=2",
    "space.unit_channels=2",
    "train.epochs=2",
    "train.batch=16",
    "train.steps=2",
    "train.crop_padding=1",
    "train.precision=float32",
    "attack.pgd_steps=2",
    "attack.cw_steps=2",
    "attack.autoattack=none",
    "attack.precision=float32",
    "device=cpu",
    "threads=1",
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small kernels lose more by sharing than they gain, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Linear(nn.Module):
    """Logits `weight @ x + bias`, whose worst case in a ball is known in closed form."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


def linear_classifier(*, classes: int = 3, pixels: tuple[int, int, int] = (1, 4, 4), seed: int = 0) -> Classifier:
    random = torch.Generator().manual_seed(seed)
    inputs = pixels[0] * pixels[1] * pixels[2]
    return Classifier(
        Linear(torch.randn(classes, inputs, generator=random), torch.randn(classes, generator=random) / 4)
    )


def random_images(n: int, shape: tuple[int, int, int] = (1, 4, 4), seed: int = 1) -> Tensor:
    """Floats in [0, 1], some of them close to its ends."""
    return torch.rand((n, *shape), generator=torch.Generator().manual_seed(seed))


def stripes(n: int, seed: int, *, side: int = 8, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Four classes: horizontal or vertical stripes, narrow or wide, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 4)
    wave = np.stack([(np.arange(side) // period) % 2 for period in (1, 2)])
    plain = np.where((labels < 2)[:, None, None], wave[labels % 2][:, :, None], wave[labels % 2][:, None, :])
    images = 60 + 130 * np.repeat(plain[..., None], channels, axis=-1) + rng.normal(0, 20, (n, side, side, channels))
    return images.clip(0, 255).astype(np.uint8), labels


def write_arrays(path: Path, **changes: np.ndarray | None) -> Path:
    """An `.npz` as `profile=arrays` takes it; a change of None leaves an array out."""
    arrays: dict[str, np.ndarray] = {}
    for seed, (purpose, n) in enumerate({"train": 128, "val": 40, "test": 48}.items()):
        arrays[f"{purpose}_images"], arrays[f"{purpose}_labels"] = stripes(n, seed)
    kept = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
    np.savez(path, **kept)
    return path


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    return write_arrays(tmp_path / "stripes.npz")


@pytest.fixture
def words(arrays: Path, tmp_path: Path) -> list[str]:
    """Words for one tiny architecture, into the store `tmp_path / "store"`."""
    return [*TINY, "archs=1-1-1-1", f"data.file={arrays}", f"store={tmp_path / 'store'}"]


@pytest.fixture
def config(words: list[str]) -> RunConfig:
    return parse_command_line(words)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Call `datagen.run` or another main: (exit code, standard output, standard error)."""

    def call(*words: object, main: Callable[[list[str]], int] = run.main) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call
