"""Trainings of a tiny network, as the tests of this folder need them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datagen.attack.attacks import Attack
from datagen.attack.evaluator import Batches
from datagen.config import RunConfig
from datagen.images.datasets import load_dataset
from datagen.network.classifier import Classifier
from datagen.network.model import build_network
from datagen.training.checkpoint import CheckpointWriter, load_checkpoint
from datagen.training.pipeline import build_space
from datagen.training.train import (
    Training,
    Watch,
    train,
)

IDENTITY = {"architecture": "1-1-1-1", "seed": 0}


class Stopped(BaseException):
    """A kill, as far as a test within one process can have one."""


def run_training(
    config: RunConfig,
    folder: Path,
    *,
    stop_after: int | None = None,
    said: list[str] | None = None,
    watch: Watch | None = None,
    background: bool = False,
) -> Training:
    """Train the tiny architecture; `stop_after` ends it once that many epochs are reported."""
    dataset = load_dataset(config.data)
    space = build_space(config, dataset)
    classifier = Classifier(build_network(space, config.archs, seed=config.seed), precision=config.train.precision)
    lines: list[str] = [] if said is None else said

    def say(text: str) -> None:
        lines.append(text)
        if stop_after is not None and f"({stop_after} of " in text:
            raise Stopped

    batches = Batches(config.batch, say)
    how: dict[str, Any] = {"folder": folder, "identity": IDENTITY, "batches": batches, "say": say, "watch": watch}
    with CheckpointWriter(background=background) as checkpoints:
        return train(classifier, dataset, config, checkpoints=checkpoints, **how)


def weights(path: Path) -> dict[str, Tensor]:
    return dict(load_checkpoint(path)["network"])


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class Recorder:
    """Watches the optimiser and the attack of a training."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rates: list[float] = []
        self.norms: list[float] = []
        self.modes: list[tuple[int, bool]] = []
        self.attacked: list[Tensor] = []
        step, perturb = torch.optim.SGD.step, Attack.perturb
        recorder = self

        def watched_step(self: torch.optim.SGD, *rest: Any) -> Any:
            groups = self.param_groups
            recorder.rates.append(groups[0]["lr"])
            squares = [float((w.grad.double() ** 2).sum()) for group in groups for w in group["params"]]
            recorder.norms.append(sum(squares) ** 0.5)
            return step(self, *rest)

        def watched_perturb(self: Attack, classifier: Classifier, images: Tensor, *rest: Any, **more: Any) -> Tensor:
            found = perturb(self, classifier, images, *rest, **more)
            if self.start == "normal":
                recorder.attacked.append((found - images).abs().max())
                recorder.modes.append((len(images), classifier.network.training))
            return found

        monkeypatch.setattr(torch.optim.SGD, "step", watched_step)
        monkeypatch.setattr(Attack, "perturb", watched_perturb)


def small_scale(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(torch.amp.GradScaler, init_scale=scale))
