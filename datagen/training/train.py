"""Adversarial training of one architecture (NARes, section 3.2): one flat loop.

Images lie on the device as uint8 and are augmented there.  After every epoch the network
is validated with all diagnostics of the paper's Table 1, and the whole state goes to
`last.pt`.  A killed training goes on from there; on a CPU the outcome is then bit for
bit that of an undisturbed one.

The folder keeps the epochs before each fall of the learning rate and the last one
(`epoch-074.pt`, `epoch-089.pt`, `epoch-099.pt`), and `best.pt`, the first epoch of highest
validation PGD-CW accuracy; every file carries the history up to its epoch.  `log.jsonl`
tells how each epoch went (`log`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datagen.attack.attacks import Attack, training_attack
from datagen.attack.evaluator import Batches, validate
from datagen.config import RunConfig, TrainConfig
from datagen.images.augment import crop_and_flip
from datagen.images.splits import Dataset
from datagen.network.classifier import Classifier
from datagen.network.model import as_unit_floats
from datagen.out_of_memory import is_out_of_memory
from datagen.seeds import generator
from datagen.training.averaging import follow, standing_in
from datagen.training.checkpoint import CheckpointWriter, load_checkpoint
from datagen.training.log import EpochLog, record
from datagen.training.losses import LOSSES, PgdAt
from nasbench_ar.errors import ResultsError, TrainingError, one_line
from nasbench_ar.metrics import CURVES

LAST = "last.pt"
BEST = "best.pt"
CHECK_EVERY = 50  # steps between looks at the loss, each of which waits for the device
REPORT_SECONDS = 60.0


class MixedCheckpointsError(TrainingError):
    """Checkpoints of one folder that two workers have written."""


class Watch:
    """What a training asks and tells while it runs; this one lets it run."""

    def before_epoch(self, seconds: float) -> None:
        """Called before an epoch with what it will probably take, 0 if unknown; raise to end the training."""

    def before_saving(self) -> None:
        """Called before checkpoints are written; raise to end the training."""

    def after_epoch(self, epoch: int) -> None:
        """Called after an epoch's checkpoints are written, or while they are."""

    def before_attack(self, name: str, training_seconds: float, finished: dict[str, float]) -> None:
        """Called before a part of the test, with the seconds of finished ones by name; raise to end the test."""


@dataclass(frozen=True)
class Training:
    """A finished training: one value an epoch by names of `CURVES`, and seconds in all runs that it took.

    Seconds include the time in which it waited for checkpoints, except for the last ones of each run.
    """

    history: dict[str, list[float]]
    best_epoch: int
    seconds: float


def learning_rate(plan: TrainConfig, epoch: int) -> float:
    if plan.schedule == "cosine":
        return plan.lr * (1 + math.cos(math.pi * epoch / plan.epochs)) / 2
    falls = sum(epoch >= start for start in plan.drop_epochs())
    return plan.lr * plan.lr_factor**falls


def kept_epochs(plan: TrainConfig) -> list[int]:
    """Epochs whose network is kept: 74, 89 and 99 of 100."""
    return sorted({epoch for epoch in (*(start - 1 for start in plan.drop_epochs()), plan.epochs - 1) if epoch >= 0})


def epoch_file(epoch: int) -> str:
    return f"epoch-{epoch:03d}.pt"


def best_epoch(history: dict[str, list[float]]) -> int:
    """The first epoch of highest validation PGD-CW accuracy."""
    values = history["val_cw_acc"]
    return values.index(max(values))


def parameter_groups(network: nn.Module, weight_decay: float, *, head_norm: bool) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers, which decay; biases and batch norms, which do not.

    The authors' code tells batch norms by `bn` in their names, and calls the head's `norm1`: its weight decays
    there, and here with `head_norm`.
    """
    decaying = {id(m.weight) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    if head_norm:
        decaying.add(id(network.get_parameter("norm.weight")))
    weights = list(network.parameters())
    return [
        {"params": [w for w in weights if id(w) in decaying], "weight_decay": weight_decay},
        {"params": [w for w in weights if id(w) not in decaying], "weight_decay": 0.0},
    ]


def build_attack(plan: TrainConfig, objective: PgdAt) -> Attack:
    return training_attack(
        eps=plan.eps_255 / 255,
        step=plan.step_255 / 255,
        steps=plan.steps,
        start_std=plan.start_std_255 / 255,
        climb=objective.climb,
    )


def build_optimiser(network: nn.Module, plan: TrainConfig, device: torch.device) -> torch.optim.SGD:
    groups = parameter_groups(network, plan.weight_decay, head_norm=plan.decay_head_norm)
    return torch.optim.SGD(groups, lr=plan.lr, momentum=plan.momentum, fused=device.type == "cuda")


def train(
    classifier: Classifier,
    dataset: Dataset,
    config: RunConfig,
    *,
    folder: Path,
    identity: dict[str, Any],
    batches: Batches,
    say: Callable[[str], None],
    watch: Watch | None = None,
    checkpoints: CheckpointWriter | None = None,
) -> Training:
    """Train from where `folder` stands; at the end it holds the kept checkpoints."""
    watch, checkpoints = watch or Watch(), checkpoints or CheckpointWriter()
    plan, network, device = config.train, classifier.network, classifier.device
    images, labels, total = dataset.train.images, dataset.train.labels, len(dataset.train)
    steps = total // plan.batch
    if not steps:
        raise TrainingError(f"train.batch={plan.batch}: there are only {total} training images; use a smaller batch")
    weights = list(network.parameters())
    optimiser = build_optimiser(network, plan, device)
    scaler = torch.amp.GradScaler(device.type, enabled=classifier.precision == "fp16")
    if scaler.is_enabled():  # a fused first step that is left out would leave its momentum uninitialised
        for moved in weights:
            optimiser.state[moved]["momentum_buffer"] = torch.zeros_like(moved)
    objective = LOSSES[plan.loss](plan.beta)
    attack = build_attack(plan, objective)
    average: dict[str, Tensor] = {}
    history: dict[str, list[float]] = {name: [] for name in CURVES}
    spent, done, began = 0.0, 0, time.perf_counter()

    def save(epoch: int, *, last: dict[str, Any]) -> float:
        """What goes on from here, if given, and the kept epochs; returns the seconds spent."""
        seconds, weights = time.perf_counter() - began, network.state_dict()
        facts = {"identity": identity, "epoch": epoch, "history": history, "seconds": seconds}
        states = {folder / LAST: {**facts, "network": weights, **last}} if last else {}
        names = [epoch_file(epoch)] if epoch in kept_epochs(plan) else []
        names += [BEST] if epoch == best_epoch(history) else []
        checkpoints.save(states | {folder / name: {**facts, "network": average or weights} for name in names})
        return seconds

    if (folder / LAST).exists():
        state = load_checkpoint(folder / LAST, identity)
        if "optimiser" not in state:
            raise ResultsError(f"{folder / LAST} is a checkpoint to test, not to go on from; remove it")
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        for group in optimiser.param_groups:  # the training may have begun on another kind of device
            group["fused"] = optimiser.defaults["fused"]
        for weight, kept in optimiser.state.items():  # the fused step wants the weight's own memory layout
            kept["momentum_buffer"] = torch.empty_like(weight).copy_(kept["momentum_buffer"])
        if scaler.is_enabled():
            scaler.load_state_dict(state["scaler"])
        average = {name: tensor.to(device) for name, tensor in state.get("average", {}).items()}
        history, done, began = state["history"], state["epoch"] + 1, time.perf_counter() - state["seconds"]
        say(f"goes on after epoch {state['epoch']} from {folder / LAST}")
        spent = save(state["epoch"], last={})  # a kill between two files may have left these behind
    elif (final := folder / epoch_file(plan.epochs - 1)).exists():
        state = load_checkpoint(final, identity)
        history, spent, done = state["history"], state["seconds"], plan.epochs

    log = EpochLog(folder, done, tensorboard=config.log == "tensorboard")
    started, first = time.perf_counter(), done
    ahead = spent / done if done else 0.0
    for epoch in range(done, plan.epochs):
        watch.before_epoch(ahead)
        epoch_began = reported = time.perf_counter()
        random = generator(config.seed, "epoch", epoch, device=device)
        order = torch.randperm(total, generator=random, device=device)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(plan, epoch)
        loss_sum, correct = torch.zeros((2,), dtype=torch.float64, device=device).unbind()
        norms = torch.zeros(steps, device=device)
        try:
            for step in range(steps):
                chosen = order[step * plan.batch : (step + 1) * plan.batch]
                clean, wanted = images[chosen], labels[chosen]
                clean = as_unit_floats(crop_and_flip(clean, random, padding=plan.crop_padding, flip=plan.flip))
                if plan.steps:
                    noise = attack.noise(clean.shape, random)
                    target = objective.target(classifier, clean, wanted)
                    adversarial = attack.perturb(classifier, clean, target, noise)
                else:
                    adversarial = clean
                network.train()
                loss, logits = objective.step(classifier, clean, adversarial, wanted)
                scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                scaler.unscale_(optimiser)  # it is the true gradients that are clipped
                norms[step] = norm = nn.utils.clip_grad_norm_(weights, plan.clip_norm)
                scaler.step(optimiser)
                scaler.update()
                optimiser.zero_grad(set_to_none=True)  # the next attack and the validation have their memory
                if plan.ema:
                    follow(network, average, plan.ema)
                # A norm that is not finite shows in the sum; with fp16 it is a step left out, and the scale falls.
                loss_sum += loss.detach() + (0 if scaler.is_enabled() else 0 * norm)
                correct += (logits.detach().argmax(1) == wanted).sum()
                if (step + 1) % CHECK_EVERY == 0 or step + 1 == steps:
                    if not torch.isfinite(loss_sum) or scaler.get_scale() < 1:
                        where = f"epoch {epoch} by step {step + 1}"
                        raise TrainingError(f"diverged in {where}: loss or gradient is not finite")
                    now = time.perf_counter()
                    if now - reported > REPORT_SECONDS:
                        reported, rate = now, (step + 1) * plan.batch / (now - epoch_began)
                        left = (plan.epochs - epoch - (step + 1) / steps) * steps * plan.batch / rate
                        say(f"epoch {epoch}, step {step + 1} of {steps}: {rate:.1f} images/s, ends {_clock(left)}")
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, TrainingError) or not is_out_of_memory(error):
                raise
            raise TrainingError(
                f"out of memory in training with train.batch={plan.batch}, which is part of the protocol and is not "
                "changed silently: use a device with more memory, or another train.batch in another store "
                f"({one_line(error)})"
            ) from error
        training_seconds = time.perf_counter() - epoch_began
        found = {"train_loss": loss_sum.item() / steps, "train_acc": 100 * correct.item() / (steps * plan.batch)}
        with standing_in(network, average):
            found |= validate(classifier, dataset.val, config.attack, batches, seed=config.seed, epoch=epoch)
        if wrong := [name for name, value in found.items() if not math.isfinite(value)]:
            raise TrainingError(f"diverged in epoch {epoch}: {', '.join(wrong)} not finite")
        for name in CURVES:
            history[name].append(found[name])
        watch.before_saving()
        log.add(  # before the checkpoint: of an epoch that is done again, the line is written again
            record(
                epoch,
                classifier,
                plan,
                rate=learning_rate(plan, epoch),
                norms=norms,
                train_seconds=training_seconds,
                val_seconds=time.perf_counter() - epoch_began - training_seconds,
            )
            | {name: found[name] for name in CURVES}
        )
        last = {"optimiser": optimiser.state_dict()} | ({"scaler": scaler.state_dict()} if scaler.is_enabled() else {})
        spent = save(epoch, last=last | ({"average": average} if average else {}))
        left = (time.perf_counter() - started) / (epoch + 1 - first) * (plan.epochs - epoch - 1)
        say(
            f"epoch {epoch} ({epoch + 1} of {plan.epochs}): train {found['train_acc']:.2f} %, val clean "
            f"{found['val_clean_acc']:.2f}, PGD {found['val_pgd_acc']:.2f}, PGD-CW {found['val_cw_acc']:.2f}; "
            f"{steps * plan.batch / training_seconds:.1f} images/s, ends {_clock(left)}"
        )
        watch.after_epoch(epoch)
        ahead = time.perf_counter() - epoch_began
    checkpoints.wait()
    (folder / LAST).unlink(missing_ok=True)
    return Training(history, best_epoch(history), spent)


def load_best(folder: Path, identity: dict[str, Any], training: Training) -> dict[str, Any]:
    """The checkpoint of the best epoch, once all kept ones are known to be of this very training.

    Two workers may have trained into one folder, one of them believed dead.  On a GPU their
    last digits differ, so each file must hold the beginning of this training's own history.
    """
    state: dict[str, Any] = {}
    for path in (*sorted(folder.glob("epoch-*.pt")), folder / BEST):
        state = load_checkpoint(path, identity)
        epoch, wanted = state["epoch"], training.best_epoch if path.name == BEST else _epoch_of(path)
        beginning = {name: curve[: epoch + 1] for name, curve in training.history.items()}
        if epoch != wanted or state["history"] != beginning:
            raise MixedCheckpointsError(f"{path} is of another course of this training")
    return state


def discard(folder: Path) -> None:
    for path in folder.glob("*.pt"):
        path.unlink(missing_ok=True)


def _epoch_of(path: Path) -> int:
    return int(path.stem.removeprefix("epoch-"))


def _clock(seconds_from_now: float) -> str:
    pattern = "%H:%M:%S" if seconds_from_now < 20 * 3600 else "%Y-%m-%d %H:%M"
    return time.strftime(pattern, time.localtime(time.time() + seconds_from_now))
