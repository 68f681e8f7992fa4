"""Going on exactly where a training stopped, and what ends one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datagen.config import RunConfig
from datagen.training import checkpoint as checkpoint_module
from datagen.training import train as train_module
from datagen.training.checkpoint import load_checkpoint
from nasbench_ar import ResultsError, TrainingError
from tests.datagen.training.trainings import IDENTITY, Stopped, run_training, same, weights


@pytest.mark.parametrize(
    ("stop_after", "loss"), [(1, "pgd_at"), (2, "pgd_at"), (3, "pgd_at"), (2, "trades"), (2, "mart")]
)
def test_a_stopped_training_goes_on_to_the_same_bits(
    config: RunConfig, tmp_path: Path, stop_after: int, loss: str
) -> None:
    config.train.epochs, config.train.loss = 4, loss
    config.train.beta = 0.0 if loss == "pgd_at" else 6.0
    whole = run_training(config, tmp_path / "whole")
    with pytest.raises(Stopped):
        run_training(config, tmp_path / "cut", stop_after=stop_after)
    torch.rand(5)  # whatever happens to the global generator in between
    said: list[str] = []
    resumed = run_training(config, tmp_path / "cut", said=said)
    assert said[0].startswith(f"goes on after epoch {stop_after - 1}")
    assert len(said) == 1 + 4 - stop_after
    assert resumed.history == whole.history
    for name in ("best.pt", "epoch-003.pt"):
        assert same(weights(tmp_path / "whole" / name), weights(tmp_path / "cut" / name))


@pytest.mark.parametrize("background", [False, True])
def test_a_kill_between_two_files_leaves_no_gap(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, background: bool
) -> None:
    config.train.epochs = 3
    whole = run_training(config, tmp_path / "whole", background=background)
    save = checkpoint_module.save_checkpoint

    def killed(path: Path, state: Any) -> None:
        if path.name != "last.pt" and state["epoch"] == whole.best_epoch:
            raise Stopped
        save(path, state)

    monkeypatch.setattr(checkpoint_module, "save_checkpoint", killed)
    with pytest.raises(Stopped):
        run_training(config, tmp_path / "cut", background=background)
    monkeypatch.setattr(checkpoint_module, "save_checkpoint", save)
    assert run_training(config, tmp_path / "cut").history == whole.history
    assert same(weights(tmp_path / "whole/best.pt"), weights(tmp_path / "cut/best.pt"))


def test_a_finished_training_is_not_repeated(config: RunConfig, tmp_path: Path) -> None:
    first = run_training(config, tmp_path)
    said: list[str] = []
    assert run_training(config, tmp_path, said=said) == first
    assert said == []


def test_a_checkpoint_of_another_training_is_refused(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        run_training(config, tmp_path, stop_after=1)
    before = (tmp_path / "last.pt").read_bytes()
    monkeypatch.setitem(IDENTITY, "seed", 1)
    with pytest.raises(ResultsError, match="is of another training .*seed was 0, is 1"):
        run_training(config, tmp_path)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_checkpoint_of_the_best_epoch_is_none_to_go_on_from(config: RunConfig, tmp_path: Path) -> None:
    run_training(config, tmp_path)
    shutil.copy(tmp_path / "best.pt", tmp_path / "last.pt")
    with pytest.raises(ResultsError, match=r"last.pt is a checkpoint to test, not to go on from; remove it"):
        run_training(config, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_ends_a_training(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    calls = 0
    whole = nn.functional.cross_entropy

    def broken(logits: Tensor, labels: Tensor, **more: Any) -> Tensor:
        nonlocal calls
        loss = whole(logits, labels, **more)
        if loss.ndim == 0:
            calls += 1
            return loss * value if calls == 11 else loss
        return loss

    monkeypatch.setattr(nn.functional, "cross_entropy", broken)
    with pytest.raises(TrainingError, match="diverged in epoch 1 by step 8: loss or gradient is not finite"):
        run_training(config, tmp_path)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "last.pt")["epoch"] == 0, "the epochs before are kept"


def test_a_gradient_that_is_not_finite_is_noticed(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", lambda weights, norm: torch.tensor(float("inf")))
    with pytest.raises(TrainingError, match="diverged in epoch 0 by step 8: loss or gradient"):
        run_training(config, tmp_path)


def test_a_validation_that_is_not_finite_is_noticed(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_module.validate
    monkeypatch.setattr(train_module, "validate", lambda *a, **k: {**whole(*a, **k), "val_pgd_lip": float("inf")})
    with pytest.raises(TrainingError, match="diverged in epoch 0: val_pgd_lip not finite"):
        run_training(config, tmp_path)


def test_out_of_memory_never_changes_the_training_batch(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*rest: Any, **more: Any) -> Tensor:
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr(train_module, "crop_and_flip", full)
    wanted = r"out of memory in training with train.batch=16, which is part of the protocol .*\(CUDA error: CUBLAS"
    with pytest.raises(TrainingError, match=wanted):
        run_training(config, tmp_path)


def test_other_errors_are_none_of_memory(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*rest: Any, **more: Any) -> Tensor:
        raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(train_module, "crop_and_flip", broken)
    with pytest.raises(RuntimeError, match="device-side assert"):
        run_training(config, tmp_path)


def test_a_batch_larger_than_the_data(config: RunConfig, tmp_path: Path) -> None:
    config.train.batch = 129
    with pytest.raises(TrainingError, match="train.batch=129: there are only 128 training images"):
        run_training(config, tmp_path)
