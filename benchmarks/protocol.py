"""How closely `datagen` follows the authors' protocol, against a second training loop written from its description.

    python -m benchmarks.protocol

Both train the same small network on handwritten digits in float64 on a processor, from the same weights and
random numbers, by the protocol's rules at its radius for digits; the second loop shares only the drawing of
random numbers with `datagen`: network, batch norm, attack, clipping, optimiser, schedule and validation are its own.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from datagen.attack.attacks import fgsm
from datagen.attack.autoattack import COMPACT, run_autoattack
from datagen.attack.evaluator import Batches, Evaluator, iterated_attacks
from datagen.config import RunConfig, TrainConfig, parse_command_line
from datagen.images.augment import crop_and_flip
from datagen.images.datasets import load_dataset
from datagen.images.splits import Dataset, Split
from datagen.network.classifier import Classifier
from datagen.network.model import WideResNet, build_network
from datagen.seeds import derive, generator
from datagen.training.train import epoch_file, learning_rate, parameter_groups, train
from datagen.training.weights import state_dict
from experiments.tables import as_markdown
from nasbench_ar import SearchSpace

WORDS = ["archs=1-2-2-1-1-2", "profile=digits", "train.batch=32", "train.epochs=4", "space.unit_channels=4"]
WORDS += ["space.depth_choices=[1,2]", "space.width_choices=[1,2]"]
TRAIN, OTHER = 256, 50  # images of training, and of validation and test each
State = dict[str, Tensor]


@dataclass(frozen=True)
class Row:
    """How far `datagen` is from a second source, and the most that the tests accept."""

    what: str
    source: str
    unit: str
    off: float
    limit: float


def norm(state: State, name: str, x: Tensor, training: bool) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    if training:
        n = x.numel() / x.shape[1]
        seen, mean, var = (mean, var), x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        state[f"{name}.running_mean"] = 0.9 * seen[0] + 0.1 * mean.detach()
        state[f"{name}.running_var"] = 0.9 * seen[1] + 0.1 * var.detach() * n / (n - 1)
    scaled = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
    return state[f"{name}.weight"][:, None, None] * scaled + state[f"{name}.bias"][:, None, None]


def forward(state: State, images: Tensor, training: bool = False) -> Tensor:
    x = F.conv2d(images.double(), state["stem_conv.weight"], padding=1)
    stage = block = 0
    while f"blocks.{stage}.layer.0.conv1.weight" in state:
        while (name := f"blocks.{stage}.layer.{block}") + ".conv1.weight" in state:
            stride = 2 if stage and not block else 1
            active = norm(state, f"{name}.bn1", x, training).relu()
            inner = F.conv2d(active, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            inner = norm(state, f"{name}.bn2", inner, training).relu()
            projection = state.get(f"{name}.shortcut.0.weight")
            way = x if projection is None else F.conv2d(active, projection, stride=stride)
            x, block = way + F.conv2d(inner, state[f"{name}.conv2.weight"], padding=1), block + 1
        stage, block = stage + 1, 0
    return norm(state, "norm1", x, training).relu().mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    own = F.one_hot(labels, logits.shape[1]).bool()
    return (logits[own] - logits.masked_fill(own, -math.inf).amax(1)).clamp_min(0)


def attack(
    state: State, x: Tensor, y: Tensor, start: Tensor, eps: float, step: float, steps: int, cw: bool = False
) -> tuple[Tensor, float]:
    """The attacked images, and the authors' loss before the last step."""
    moved = start
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        logits = forward(state, moved)
        loss = -margins(logits, y).sum() * (100 / len(y)) if cw else F.cross_entropy(logits, y)  # of 100 images
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = (moved.detach() + step * gradient.sign()).maximum(x - eps).minimum(x + eps).clamp(0, 1)
    return moved.detach(), loss.item()


def second_loop(config: RunConfig, dataset: Dataset, state: State, head_norm: bool = True) -> list[dict[str, float]]:
    """Train `state` in place; the twelve values of every epoch."""
    plan, test, curves = config.train, config.attack, []
    trained = [name for name in state if "running" not in name and "num_batches" not in name]
    speed = {name: torch.zeros_like(state[name]) for name in trained}
    eps, total = plan.eps_255 / 255, len(dataset.train)
    for epoch in range(plan.epochs):
        rate = 0.1 * 0.1 ** sum(epoch >= round(share * plan.epochs) for share in (0.75, 0.9))
        random = generator(config.seed, "epoch", epoch)
        losses, right = [], 0
        for batch in torch.randperm(total, generator=random)[: total // plan.batch * plan.batch].view(-1, plan.batch):
            y = dataset.train.labels[batch]
            x = crop_and_flip(dataset.train.images[batch], random, padding=plan.crop_padding, flip=plan.flip) / 255
            start = x + plan.start_std_255 / 255 * torch.randn(x.shape, generator=random)
            moved, _ = attack(state, x, y, start, eps, plan.step_255 / 255, 7)
            for name in trained:
                state[name].requires_grad_()
            logits = forward(state, moved, training=True)
            loss = F.cross_entropy(logits, y)
            gradients = torch.autograd.grad(loss, [state[name] for name in trained])
            length = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
            for name, gradient in zip(trained, gradients, strict=True):
                weight, gradient = state[name].detach(), gradient * min(1.0, 5.0 / (length + 1e-6))
                if "bn" not in name and "bias" not in name and (head_norm or name != "norm1.weight"):
                    gradient = gradient + 5e-4 * weight
                speed[name] = 0.9 * speed[name] + gradient
                state[name] = weight - rate * speed[name]
            losses.append(loss.item())
            right += int((logits.argmax(1) == y).sum())
        found = {"train_loss": sum(losses) / len(losses), "train_acc": 100 * right / (len(losses) * plan.batch)}
        x, y = dataset.val.images / 255, dataset.val.labels
        clean = forward(state, x)
        found |= {"val_loss": F.cross_entropy(clean, y).item(), "val_clean_acc": percent(clean.argmax(1) == y)}
        for name, steps in (("pgd", 20), ("cw", 40)):
            noise = torch.rand(x.shape, generator=generator(config.seed, "validation", epoch, name))
            start = x + (2 * noise - 1) * test.eps_255 / 255
            moved, loss_there = attack(state, x, y, start, test.eps_255 / 255, test.step_255 / 255, steps, name == "cw")
            logits = forward(state, moved)
            lip = (clean - logits).abs().sum(1) / (x - moved + 1e-6).flatten(1).abs().amax(1)
            found |= {f"val_{name}_acc": percent(logits.argmax(1) == y), f"val_{name}_loss": loss_there}
            found |= {f"val_{name}_stable": percent(logits.argmax(1) == clean.argmax(1))}
            found |= {f"val_{name}_lip": float(lip.mean())}
        curves.append(found)
    return curves


def percent(flags: Tensor) -> float:
    return 100 * float(flags.double().mean())


def double(network: WideResNet) -> Classifier:
    """Float64 behind images that stay float32."""
    network.double().register_forward_pre_hook(lambda layer, given: (given[0].double(),))
    return Classifier(network, precision="float64")


def relative(found: float, wanted: float) -> float:
    return abs(found - wanted) / max(abs(wanted), 1e-12)


def rows() -> list[Row]:
    """Everything compared."""
    config = parse_command_line(WORDS)
    whole = load_dataset(config.data)
    few = {name: Split(name, one.images[:n], one.labels[:n]) for name, one, n in (
        ("train", whole.train, TRAIN), ("val", whole.val, OTHER), ("test", whole.test, OTHER))}  # fmt: skip
    dataset = replace(whole, **few)  # type: ignore[arg-type]
    space = config.space.for_images(size=8, channels=1, classes=10)
    network = build_network(space, config.archs, seed=config.seed)
    state, other = ({k: v.double() for k, v in state_dict(network, "authors").items()} for _ in range(2))
    classifier, batches = double(network), Batches(OTHER, print)
    with tempfile.TemporaryDirectory() as folder:
        ours = train(
            classifier, dataset, config, folder=Path(folder), identity={}, batches=batches, say=lambda text: None
        ).history
        assert Path(folder, epoch_file(config.train.epochs - 1)).exists()
    theirs = second_loop(config, dataset, state)
    without = second_loop(config, dataset, other, head_norm=False)
    loop, steps = "second loop", config.train.epochs * (TRAIN // config.train.batch)
    found = [*schedule(), *decay(build_network(space, config.archs, seed=0))]

    def curve(name: str) -> float:
        return max(relative(a, b[name]) for a, b in zip(ours[name], theirs, strict=True))

    named = state_dict(network, "authors")
    apart = max(float((named[k] - state[k]).norm() / state[k].norm()) for k in state if "num_batches" not in k)
    found.append(
        Row(f"weights and batch norms after {steps} steps of training", loop, "relative, by norm", apart, 1e-5)
    )
    found += [Row(f"`{name}`, {config.train.epochs} epochs", loop, "relative", curve(name), 1e-5) for name in ours]
    wrong = relative(ours["train_loss"][-1], without[-1]["train_loss"])
    found.append(Row("`train_loss`, had the head's norm not decayed", loop, "relative; must differ", wrong, math.inf))
    return [
        *found,
        *attacks(config, dataset, classifier, batches, state),
        *compact(config, dataset, classifier, batches),
    ]


def schedule() -> list[Row]:
    rates = [0.1] * 75 + [0.01] * 15 + [0.001] * 10
    off = max(relative(learning_rate(TrainConfig(), epoch), rate) for epoch, rate in enumerate(rates))
    return [Row("learning rate of 100 epochs", "the paper", "relative", off, 1e-12)]


def decay(network: WideResNet) -> list[Row]:
    decaying = {id(weight) for weight in parameter_groups(network, 5e-4, head_norm=True)[0]["params"]}
    names = zip(state_dict(network, "authors"), network.state_dict(keep_vars=True).values(), strict=True)
    differ = [n for n, w in names if w.requires_grad and ((id(w) in decaying) == ("bn" in n or "bias" in n))]
    with torch.device("meta"):
        smallest = WideResNet(SearchSpace(), SearchSpace().parse("4-8-4-8-4-8"))
    count = sum(weight.numel() for weight in smallest.parameters())
    return [
        Row("parameters that decay or do not, by the rule of names", "the authors' rule", "parameters", len(differ), 0),
        Row("weights of 4-8-4-8-4-8", "23,354,842 as published", "weights", abs(count - 23_354_842), 0),
    ]


def attacks(config: RunConfig, dataset: Dataset, classifier: Classifier, batches: Batches, state: State) -> list[Row]:
    """Attacked test images, from clipped starts."""
    x, y, eps, step = dataset.test.images / 255, dataset.test.labels, *two(config)
    evaluator, found = Evaluator(classifier, dataset.test, batches), []
    for name, one in {"fgsm": fgsm(eps=eps), **iterated_attacks(config.attack)}.items():
        noise = one.noise(x.shape, generator(0, "test", name))
        start = x if noise is None else (x + (2 * noise - 1) * eps).clamp(0, 1)
        wanted, _ = attack(state, x, y, start, eps, eps if name == "fgsm" else step, one.steps, name == "cw")
        differ = (one.perturb(classifier, x, y, noise) - wanted).abs().flatten(1).amax(1) > 1e-5
        correct = evaluator.attacked(one, 0, "test", name).correct != (forward(state, wanted).argmax(1) == y)
        for what, flags in (("attacked images", differ), ("correct or not", correct)):
            found.append(Row(f"{name.upper()}, {what}", "second loop", f"images of {OTHER}", int(flags.sum()), 1))
    return found


def two(config: RunConfig) -> tuple[float, float]:
    return config.attack.eps_255 / 255, config.attack.step_255 / 255


def compact(config: RunConfig, dataset: Dataset, classifier: Classifier, batches: Batches) -> list[Row]:
    """AA-Compact against its package's own `standard`, cut to the first two attacks."""
    from pyautoattack import AutoAttack

    evaluator = Evaluator(classifier, dataset.test, batches)
    ours = run_autoattack(evaluator, eps=two(config)[0], seed=0).masks[COMPACT[-1]]
    x, y, seed = dataset.test.images / 255, dataset.test.labels, derive(0, "autoattack") % 2**31
    with torch.random.fork_rng(devices=[]), classifier.frozen():
        package = AutoAttack(classifier, eps=two(config)[0], norm="Linf", seed=seed, version="standard", device="cpu")
        package.attacks_to_run = list(COMPACT)
        moved = package.run_standard_evaluation(x, y, batch_size=OTHER)[0]
        differ = int((ours != (classifier(moved).argmax(1) == y)).sum())
    return [Row("AA-Compact, correct or not", "`pyautoattack`, standard", f"images of {OTHER}", differ, 1)]


def table(found: list[Row]) -> str:
    """Markdown."""
    lines = [[row.what, row.source, f"{row.off:.1g}" if row.off else "0", row.unit] for row in found]
    return as_markdown(("what", "compared with", "difference", "of"), lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table(rows()))
