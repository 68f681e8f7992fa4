"""The training loop: schedule, groups, clipping, bookkeeping."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import sgd

from datagen.attack.evaluator import Batches, Evaluator, iterated_attacks, percent, validate
from datagen.config import RunConfig, TrainConfig, parse_command_line
from datagen.images.augment import crop_and_flip
from datagen.images.datasets import load_dataset
from datagen.images.splits import Dataset
from datagen.network.classifier import Classifier
from datagen.network.model import build_network
from datagen.seeds import generator
from datagen.training import train as train_module
from datagen.training.checkpoint import load_checkpoint, save_checkpoint
from datagen.training.losses import LOSSES
from datagen.training.pipeline import build_space
from datagen.training.train import (
    MixedCheckpointsError,
    Watch,
    kept_epochs,
    learning_rate,
    load_best,
    parameter_groups,
    train,
)
from nasbench_ar import SearchSpace, TrainingError
from nasbench_ar.metrics import CURVES
from tests.datagen.training.trainings import IDENTITY, Recorder, Stopped, run_training, same, small_scale, weights

PAPER = TrainConfig()


# -- the protocol ------------------------------------------------------------------


def test_learning_rate_of_the_paper() -> None:
    rates = [learning_rate(PAPER, epoch) for epoch in range(100)]
    assert rates[:75] == [0.1] * 75
    assert rates[75:90] == pytest.approx([0.01] * 15)
    assert rates[90:] == pytest.approx([0.001] * 10)
    assert PAPER.drop_epochs() == [75, 90]
    assert kept_epochs(PAPER) == [74, 89, 99]


@pytest.mark.parametrize(
    ("epochs", "drops", "kept"),
    [
        (20, [15, 18], [14, 17, 19]),
        (8, [6, 7], [5, 6, 7]),
        (2, [2, 2], [1]),
        (1, [1, 1], [0]),
        (200, [150, 180], [149, 179, 199]),
    ],
)
def test_shorter_schedules_scale(epochs: int, drops: list[int], kept: list[int]) -> None:
    plan = TrainConfig(epochs=epochs)
    assert (plan.drop_epochs(), kept_epochs(plan)) == (drops, kept)


@pytest.mark.parametrize("head_norm", [True, False])
def test_weight_decay_touches_convolutions_the_linear_weight_and_the_heads_norm(head_norm: bool) -> None:
    network = build_network(SearchSpace(unit_channels=1, image_size=8), "4-8-4-8-4-8", seed=0)
    decaying, plain = parameter_groups(network, 5e-4, head_norm=head_norm)
    assert (decaying["weight_decay"], plain["weight_decay"]) == (5e-4, 0.0)
    names = {id(weight): name for name, weight in network.named_parameters()}
    assert len(decaying["params"]) + len(plain["params"]) == len(names)
    for weight in decaying["params"]:
        assert re.search(r"(stem|conv\d|shortcut|linear|^norm)\.weight$", names[id(weight)])
    for weight in plain["params"]:
        assert re.search(r"norm\d?\.(weight|bias)$|linear\.bias$", names[id(weight)])
    assert [names[id(weight)] for weight in decaying["params"] if weight.ndim == 1] == ["norm.weight"] * head_norm
    assert all(weight.ndim == 1 for weight in plain["params"])


def test_steps_follow_the_plan(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.train.epochs, config.train.lr_drops, config.train.clip_norm = 3, [0.4, 0.7], 0.05
    config.train.batch = 30  # 4 batches of 128 images; the last 8 images of an epoch are dropped
    seen = Recorder(monkeypatch)
    run_training(config, tmp_path / "work")
    assert seen.rates == pytest.approx([0.1] * 4 + [0.01] * 4 + [0.001] * 4)
    assert seen.norms == pytest.approx([0.05] * 12, rel=1e-4), "the norm of true gradients is clipped"
    assert [n for n, _ in seen.modes] == [30] * 12
    assert max(map(float, seen.attacked)) <= config.train.eps_255 / 255 + 1e-6
    assert min(map(float, seen.attacked)) > config.train.eps_255 / 255 / 2


def by_the_book(config: RunConfig, scale: float = 1.0) -> tuple[dict[str, Tensor], dict[str, list[float]], int]:
    """The training once more, as the paper tells it: weights, the curves of every epoch, and steps left out.

    With float16, `scale` is that of the first loss; a step whose gradients overflow is left out, and halves it.
    """
    plan, dataset = config.train, load_dataset(config.data)
    network = build_network(build_space(config, dataset), config.archs, seed=config.seed)
    decaying = {  # by the authors' rule, less "bn": theirs is called norm1 in the head and bn1, bn2 in the blocks
        weight
        for name, weight in network.named_parameters()
        if name.endswith("weight")
        and not re.search(r"norm\d", name)
        and (plan.decay_head_norm or name != "norm.weight")
    }
    moving = {weight: torch.zeros_like(weight) for weight in network.parameters()}
    curves: dict[str, list[float]] = {name: [] for name in CURVES}
    eps, size, half, left_out = plan.eps_255 / 255, plan.step_255 / 255, plan.precision == "fp16", 0
    cross_entropy = nn.functional.cross_entropy

    def divergence(natural: Tensor, logits: Tensor) -> Tensor:
        p, q = natural.softmax(1), logits.softmax(1)
        return (p * (p / q).log()).sum(1)

    def look(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.float16, enabled=half):
            return network(images).float()  # type: ignore[no-any-return]

    for epoch, rate in enumerate((0.05, 0.05, 0.01)):
        random = generator(config.seed, "epoch", epoch)
        order = torch.randperm(128, generator=random)
        losses, right = [], 0
        for batch in (order[:30], order[30:60], order[60:90], order[90:120]):
            labels = dataset.train.labels[batch]
            clean = crop_and_flip(dataset.train.images[batch], random, padding=plan.crop_padding, flip=plan.flip) / 255
            moved = clean + torch.randn(clean.shape, generator=random) * (plan.start_std_255 / 255)
            network.eval()
            natural = look(clean).detach()
            for _ in range(plan.steps):
                moved = moved.detach().requires_grad_()
                if plan.loss == "trades":
                    climbed = divergence(natural, look(moved)).sum()
                else:
                    climbed = cross_entropy(look(moved), labels, reduction="sum")
                (gradient,) = torch.autograd.grad(climbed * (1024 if half else 1), moved)
                moved = moved.detach() + size * gradient.sign()
                moved = torch.minimum(torch.maximum(moved, (clean - eps).clamp(min=0)), (clean + eps).clamp(max=1))
            network.train()
            natural = look(clean) if plan.loss != "pgd_at" else natural
            logits = look(moved)
            loss = cross_entropy(logits, labels)
            if plan.loss == "trades":
                loss = cross_entropy(natural, labels) + plan.beta * divergence(natural, logits).mean()
            if plan.loss == "mart":
                best_wrong = logits.softmax(1)[nn.functional.one_hot(labels, 4) == 0].reshape(-1, 3).amax(1)
                share = 1 - natural.softmax(1)[range(30), labels]
                loss = loss - (1.0001 - best_wrong).log().mean()
                loss = loss + plan.beta * (divergence(natural, logits) * share).mean()
            gradients = [gradient / scale for gradient in torch.autograd.grad(loss * scale, list(moving))]
            norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
            losses.append(loss.item())
            right += int((logits.argmax(1) == labels).sum())
            if not norm.isfinite():
                scale, left_out = scale / 2, left_out + 1
                continue
            with torch.no_grad():
                for (weight, speed), gradient in zip(moving.items(), gradients, strict=True):
                    clipped = gradient * (plan.clip_norm / (norm + 1e-6)).clamp(max=1)
                    speed.mul_(plan.momentum).add_(clipped + plan.weight_decay * (weight in decaying) * weight)
                    weight.sub_(rate * speed)
        found = {"train_loss": sum(losses) / 4, "train_acc": 100 * right / 120}
        found |= validate(
            Classifier(network, precision=plan.precision),
            dataset.val,
            config.attack,
            Batches(500, print),
            seed=config.seed,
            epoch=epoch,
        )
        for name, value in found.items():
            curves[name].append(value)
    return network.state_dict(), curves, left_out


def test_a_network_in_evaluation_mode_is_trained_all_the_same(config: RunConfig, tmp_path: Path) -> None:
    dataset = load_dataset(config.data)
    found = []
    for name in ("train", "eval"):
        network = build_network(build_space(config, dataset), config.archs, seed=0).train(name == "train")
        batches = Batches(500, print)
        train(
            Classifier(network),
            dataset,
            config,
            folder=tmp_path / name,
            identity=IDENTITY,
            batches=batches,
            say=lambda text: None,
        )
        found.append(weights(tmp_path / name / "best.pt"))
    assert same(*found)


@pytest.mark.parametrize(
    ("flip", "head_norm", "loss"),
    [(True, True, "pgd_at"), (False, False, "pgd_at"), (True, True, "trades"), (True, True, "mart")],
)
def test_a_training_by_the_book(config: RunConfig, tmp_path: Path, flip: bool, head_norm: bool, loss: str) -> None:
    config.seed, plan = 5, config.train
    plan.epochs, plan.batch, plan.lr, plan.lr_drops, plan.lr_factor = 3, 30, 0.05, [0.7], 0.2
    plan.momentum, plan.weight_decay, plan.clip_norm = 0.8, 0.01, 0.5
    plan.eps_255, plan.step_255, plan.start_std_255, plan.steps = 10.0, 3.0, 5.0, 2
    plan.crop_padding, plan.flip, plan.decay_head_norm = 2, flip, head_norm
    plan.loss, plan.beta = loss, 0.0 if loss == "pgd_at" else 3.0
    done = run_training(config, tmp_path)
    wanted, curves, _ = by_the_book(config)
    assert done.history.keys() == curves.keys()
    for name, curve in curves.items():
        assert done.history[name] == pytest.approx(curve, rel=1e-4), name
    for name, weight in weights(tmp_path / "epoch-002.pt").items():
        torch.testing.assert_close(weight, wanted[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("loss", ["pgd_at", "trades", "mart"])
def test_a_training_in_float16_by_the_book(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    plan = config.train
    plan.loss, plan.beta = loss, 0.0 if loss == "pgd_at" else 3.0
    plan.precision, plan.epochs, plan.batch, plan.lr, plan.lr_drops, plan.lr_factor = "fp16", 3, 30, 0.05, [0.7], 0.2
    plan.clip_norm = 0.02
    small_scale(monkeypatch, 2.0**22)  # too much for the first steps
    seen = Recorder(monkeypatch)
    done = run_training(config, tmp_path)
    wanted, curves, left_out = by_the_book(config, 2.0**22)
    assert 0 < left_out < 8
    assert len(seen.norms) == 12 - left_out
    assert seen.norms == pytest.approx([0.02] * len(seen.norms), rel=1e-3), "true gradients are clipped"
    for name, curve in curves.items():
        assert done.history[name] == pytest.approx(curve, rel=0.02), name
    for name, weight in weights(tmp_path / "epoch-002.pt").items():
        torch.testing.assert_close(weight, wanted[name], atol=1e-3, rtol=0.02, msg=name)


def test_a_fused_first_step_that_is_left_out_leaves_no_momentum(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.train.precision = "fp16"
    small_scale(monkeypatch, 2.0**22)
    run_training(config, tmp_path / "plain")
    fused = functools.partial(train_module.build_optimiser, device=torch.device("cuda"))
    monkeypatch.setattr(train_module, "build_optimiser", lambda network, plan, device: fused(network, plan))
    empty = functools.partial(torch.full_like, fill_value=torch.nan)  # as memory may be that others have used
    monkeypatch.setattr(sgd, "torch", SimpleNamespace(**{**vars(torch), "empty_like": empty}))
    run_training(config, tmp_path / "fused")
    plain = weights(tmp_path / "plain/best.pt")
    for name, weight in weights(tmp_path / "fused/best.pt").items():
        torch.testing.assert_close(weight, plain[name], atol=1e-3, rtol=0.02, msg=name)


def test_a_training_in_float16_goes_on_to_the_same_bits(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.train.precision, config.train.epochs = "fp16", 3
    small_scale(monkeypatch, 2.0**22)
    whole = run_training(config, tmp_path / "whole")
    with pytest.raises(Stopped):
        run_training(config, tmp_path / "cut", stop_after=1)
    assert load_checkpoint(tmp_path / "cut/last.pt")["scaler"]["scale"] < 2.0**22
    assert run_training(config, tmp_path / "cut").history == whole.history
    assert same(weights(tmp_path / "whole/best.pt"), weights(tmp_path / "cut/best.pt"))


@pytest.mark.parametrize("begun", ["cpu", "cuda"])
def test_a_training_goes_on_as_the_device_wants_its_steps(
    begun: str, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that is not fused would not leave out what a gradient scaler lets a fused one leave out."""
    build, fused = train_module.build_optimiser, []
    kinds = iter([begun, "cpu" if begun == "cuda" else "cuda"])

    def watched(network: nn.Module, plan: TrainConfig, device: torch.device) -> torch.optim.SGD:
        optimiser = build(network, plan, torch.device(next(kinds)))
        optimiser.register_step_pre_hook(lambda own, *_: fused.append({bool(g["fused"]) for g in own.param_groups}))
        return optimiser

    monkeypatch.setattr(train_module, "build_optimiser", watched)
    with pytest.raises(Stopped):
        run_training(config, tmp_path, stop_after=1)
    run_training(config, tmp_path)
    half = len(fused) // 2
    assert fused == [{begun == "cuda"}] * half + [{begun != "cuda"}] * half


def test_float16_gradients_that_stay_infinite_end_a_training(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.train.precision = "fp16"
    small_scale(monkeypatch, 2.0**4)
    step = torch.Tensor.backward

    def infinite(self: Tensor) -> None:
        step(self * torch.inf)

    monkeypatch.setattr(torch.Tensor, "backward", infinite)
    with pytest.raises(TrainingError, match="diverged in epoch 0 by step 8: loss or gradient is not finite"):
        run_training(config, tmp_path)


def test_without_steps_training_is_on_clean_images(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.train.steps = 0
    seen = Recorder(monkeypatch)
    run_training(config, tmp_path / "work")
    assert not seen.attacked
    assert len(seen.rates) == 16


def test_history_and_checkpoints(config: RunConfig, tmp_path: Path) -> None:
    config.train.epochs, config.train.lr_drops = 4, [0.5]
    said: list[str] = []
    done = run_training(config, tmp_path, said=said)
    assert list(done.history) == list(CURVES)
    assert {len(curve) for curve in done.history.values()} == {4}
    cw = done.history["val_cw_acc"]
    assert done.best_epoch == cw.index(max(cw))
    assert sorted(p.name for p in tmp_path.glob("*.pt")) == ["best.pt", "epoch-001.pt", "epoch-003.pt"]
    assert load_checkpoint(tmp_path / "best.pt", IDENTITY)["epoch"] == done.best_epoch
    assert load_checkpoint(tmp_path / "epoch-001.pt", IDENTITY)["epoch"] == 1
    assert all(re.search(r"epoch (\d) \(\d of 4\): .*PGD-CW .*; [\d.]+ images/s, ends \d\d:", line) for line in said)


def test_the_first_of_equally_good_epochs_is_best(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.train.epochs = 4
    values = iter([30.0, 55.0, 55.0, 40.0])
    whole = train_module.validate

    def fixed(*rest: Any, **more: Any) -> dict[str, float]:
        return {**whole(*rest, **more), "val_cw_acc": next(values)}

    monkeypatch.setattr(train_module, "validate", fixed)
    assert run_training(config, tmp_path).best_epoch == 1
    assert load_checkpoint(tmp_path / "best.pt")["epoch"] == 1


def test_the_stored_best_network_has_the_stored_accuracy(config: RunConfig, tmp_path: Path) -> None:
    config.train.epochs = 4
    done = run_training(config, tmp_path)
    dataset = load_dataset(config.data)
    network = build_network(build_space(config, dataset), config.archs, seed=9)
    network.load_state_dict(weights(tmp_path / "best.pt"))
    correct, _ = Evaluator(Classifier(network), dataset.val, Batches(500, print)).clean()
    assert 100 * float(correct.double().mean()) == pytest.approx(done.history["val_clean_acc"][done.best_epoch])


class Noting(Watch):
    """Notes what it is told, and which files are there by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[tuple[Any, Any]] = []
        self.ahead: list[float] = []

    def before_saving(self) -> None:
        self.notes.append((sorted(path.name for path in self.folder.glob("*.pt")), None))

    def before_epoch(self, seconds: float) -> None:
        self.ahead.append(seconds)

    def after_epoch(self, epoch: int) -> None:
        last = load_checkpoint(self.folder / "last.pt")["epoch"]
        self.notes.append((last, epoch))


def test_a_watch_is_asked_before_files_change_and_told_afterwards(config: RunConfig, tmp_path: Path) -> None:
    watch = Noting(tmp_path)
    run_training(config, tmp_path, watch=watch)
    assert watch.notes == [([], None), (0, 0), (["best.pt", "last.pt"], None), (1, 1)]
    assert watch.ahead[0] == 0, "nothing is known yet"
    assert watch.ahead[1] > 0
    assert len(watch.ahead) == 2
    again = tmp_path / "again"
    with pytest.raises(Stopped):
        run_training(config, again, stop_after=1)
    seconds = load_checkpoint(again / "last.pt")["seconds"]
    watch = Noting(again)
    run_training(config, again, watch=watch)
    assert len(watch.ahead) == 1, "as long as the epochs before, of which there is one"
    assert seconds <= watch.ahead[0] < seconds + 10


def test_best_of_mixed_checkpoints_is_refused(config: RunConfig, tmp_path: Path) -> None:
    config.train.epochs, config.train.lr_drops = 3, [0.4]
    done = run_training(config, tmp_path)
    best = load_best(tmp_path, IDENTITY, done)
    assert same(best["network"], weights(tmp_path / "best.pt"))
    kept = load_checkpoint(tmp_path / "epoch-002.pt")
    curve = [value + 1 for value in done.history["val_loss"]]
    for change in (
        {"history": {**kept["history"], "val_loss": curve}},
        {"epoch": 1, "history": {name: values[:2] for name, values in kept["history"].items()}},
    ):
        save_checkpoint(tmp_path / "epoch-002.pt", {**kept, **change})
        with pytest.raises(MixedCheckpointsError, match=r"epoch-002.pt is of another course of this training"):
            load_best(tmp_path, IDENTITY, done)


# -- what is learnt --------------------------------------------------------------------


def trained_on_digits(tmp_path: Path, *more: str) -> tuple[float, float]:
    """Clean and PGD20 test accuracy of a small digits model, in percent."""
    words = ["profile=digits", "space.depth_choices=[1]", "space.unit_channels=1", "archs=1-16-1-16-1-16", *more]
    config = parse_command_line([*words, "attack.cw_steps=1", "attack.pgd_steps=1"])
    dataset: Dataset = load_dataset(config.data)
    classifier = Classifier(build_network(build_space(config, dataset), config.archs, seed=0))
    quiet = Batches(500, lambda text: None)
    train(classifier, dataset, config, folder=tmp_path, identity=IDENTITY, batches=quiet, say=lambda text: None)
    config.attack.pgd_steps = 20
    evaluator = Evaluator(classifier, dataset.test, quiet)
    outcome = evaluator.attacked(iterated_attacks(config.attack)["pgd"], 0, "test", "pgd")
    return 100 * float(evaluator.clean()[0].double().mean()), percent(outcome.correct)


@pytest.mark.slow
def test_training_without_adversarial_examples_loses_much_more_to_pgd20(tmp_path: Path) -> None:
    plain_clean, plain_attacked = trained_on_digits(tmp_path / "plain", "train.steps=0")
    print(f"digits under PGD20, without adversarial examples: {plain_clean:.1f} -> {plain_attacked:.1f} %")
    assert plain_clean > 85
    assert plain_attacked < 40
    for loss in LOSSES:
        clean, attacked = trained_on_digits(tmp_path / loss, f"train.loss={loss}")
        print(f"with {loss}: {clean:.1f} -> {attacked:.1f} %")
        assert clean > 85
        assert attacked > 60
        assert plain_clean - plain_attacked > 2 * (clean - attacked)
