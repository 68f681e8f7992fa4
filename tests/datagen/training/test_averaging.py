"""The average of a network: by hand, in the loop, across interruptions; and the cosine."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datagen.attack.evaluator import Batches, validate
from datagen.config import RunConfig, TrainConfig
from datagen.images.datasets import load_dataset
from datagen.network.classifier import Classifier
from datagen.network.model import build_network
from datagen.training import checkpoint as checkpoint_module
from datagen.training.averaging import follow, standing_in
from datagen.training.checkpoint import load_checkpoint
from datagen.training.pipeline import build_space
from datagen.training.train import kept_epochs, learning_rate
from tests.datagen.training.trainings import Stopped, run_training, same, weights


def test_by_hand() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    average: dict[str, Tensor] = {}
    with torch.no_grad():
        for value in (1.0, 3.0, 5.0):
            network[0].weight.fill_(value)
            network[1].running_mean.fill_(10 * value)  # type: ignore[union-attr, operator]
            network[1].num_batches_tracked += 2  # type: ignore[operator]
            follow(network, average, 0.75)
    assert average["0.weight"].item() == 0.75 * (0.75 * 1 + 0.25 * 3) + 0.25 * 5
    assert average["1.running_mean"].item() == 23.75
    assert average["1.num_batches_tracked"] == 6
    with standing_in(network, average):
        assert network[0].weight.item() == 2.375
    assert network[0].weight.item() == 5
    assert average["0.weight"].item() == 2.375
    with standing_in(network, {}):
        assert network[0].weight.item() == 5


def test_the_average_is_validated_and_kept(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.train.ema, config.train.epochs = 0.8, 2
    states: list[dict[str, Tensor]] = []
    update = torch.amp.GradScaler.update

    def noted(self: Any, *rest: Any) -> None:
        update(self, *rest)
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})

    monkeypatch.setattr(torch.amp.GradScaler, "update", noted)
    dataset = load_dataset(config.data)
    network = build_network(build_space(config, dataset), config.archs, seed=config.seed)
    monkeypatch.setattr("tests.datagen.training.trainings.build_network", lambda *rest, **more: network)
    done = run_training(config, tmp_path / "average")
    assert len(states) == 16
    wanted = {name: tensor.double() for name, tensor in states[0].items()}
    for state in states[1:]:
        wanted = {name: 0.8 * wanted[name] + 0.2 * tensor.double() for name, tensor in state.items()}
    kept = weights(tmp_path / "average/epoch-001.pt")
    for name, tensor in kept.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), wanted[name], rtol=1e-5, atol=1e-6, msg=name)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in states[-1].items())
    network.load_state_dict(kept)
    found = validate(Classifier(network), dataset.val, config.attack, Batches(500, print), seed=config.seed, epoch=1)
    assert {name: done.history[name][1] for name in found} == found
    config.train.ema = 0.0
    monkeypatch.undo()
    plain = run_training(config, tmp_path / "plain")
    assert plain.history["train_loss"] == done.history["train_loss"], "the training itself does not change"
    assert plain.history["val_loss"] != done.history["val_loss"]


@pytest.mark.parametrize("killed_at", ["last.pt", "best.pt"])
def test_an_averaged_training_goes_on_to_the_same_bits(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    config.train.ema, config.train.epochs, config.train.schedule = 0.9, 3, "cosine"
    whole = run_training(config, tmp_path / "whole")
    save = checkpoint_module.save_checkpoint

    def killed(path: Path, state: Any) -> None:
        if path.name == killed_at and state["epoch"] == whole.best_epoch:
            raise Stopped
        save(path, state)

    monkeypatch.setattr(checkpoint_module, "save_checkpoint", killed)
    with pytest.raises(Stopped):
        run_training(config, tmp_path / "cut")
    monkeypatch.setattr(checkpoint_module, "save_checkpoint", save)
    assert run_training(config, tmp_path / "cut").history == whole.history
    for name in ("best.pt", "epoch-002.pt"):
        assert same(weights(tmp_path / "whole" / name), weights(tmp_path / "cut" / name))
        assert "average" not in load_checkpoint(tmp_path / "whole" / name)


def test_the_cosine() -> None:
    plan = TrainConfig(schedule="cosine", epochs=100)
    rates = [learning_rate(plan, epoch) for epoch in (0, 25, 50, 75, 99)]
    assert rates == pytest.approx(
        [0.1, 0.05 * (1 + math.sqrt(0.5)), 0.05, 0.05 * (1 - math.sqrt(0.5)), 2.467e-5], rel=1e-3
    )
    assert (plan.drop_epochs(), kept_epochs(plan)) == ([], [99])
