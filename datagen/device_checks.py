"""What `datagen.check` measures on a device: one step against float64, memory, speed, going on, two processes.

All but the last two train `arch=` on images of noise.  Memory and speed come from the
training's own loop and log.  Only the step is written down once more, because a device and
the processor must start from the same random numbers; a test holds it against the loop.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from datagen.attack.evaluator import Batches
from datagen.cards import peak_tflops
from datagen.config import AttackConfig, RunConfig, TrainConfig
from datagen.hardware import (
    choose_compile,
    choose_device,
    choose_precision,
    device_name,
    release_memory,
    reset_peak_memory,
)
from datagen.images.augment import crop_and_flip
from datagen.images.splits import Dataset, Split
from datagen.network.classifier import FP16_LOSS_SCALE, Classifier, float32_rule
from datagen.network.model import as_unit_floats, build_network
from datagen.planning.memory import GB, GRAPHS, MemorySettings, estimate_memory, gigabytes
from datagen.seeds import generator
from datagen.speed import matmul_rate
from datagen.store.folder import EntryStore
from datagen.training.log import FILE
from datagen.training.losses import LOSSES
from datagen.training.train import Watch, build_attack, build_optimiser, train
from datagen.workers.worker import note
from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import one_line

PARITY_IMAGES = 8  # float64 on the processor is slow
STEPS = {"cuda": 30, "cpu": 2}  # an epoch of the speed's
TINY = SearchSpace((1, 2), (1, 2), stages=2, unit_channels=4, image_size=8)
TINY_EPOCHS, TINY_BATCH = 3, 16
TWO = ("1-1-1-1-1-1", "1-2-1-1-1-1")
TWO_WORDS = [
    "profile=digits",
    "share=true",
    "space.depth_choices=[1]",
    "space.width_choices=[1,2]",
    "train.epochs=1",
    "train.batch=128",
    "train.steps=1",
    "attack.pgd_steps=2",
    "attack.cw_steps=2",
    "attack.autoattack=none",
]
TWO_SECONDS = 600


@dataclass(frozen=True)
class Row:
    """A line of the table; `passed` is None for what only tells a number."""

    check: str
    measured: str
    expected: str
    passed: bool | None


@dataclass(frozen=True)
class Setup:
    """Device and network of the checks; `config` has one seed, and neither images nor a store."""

    config: RunConfig
    space: SearchSpace
    architecture: Architecture
    device: torch.device
    precision: str
    compiled: bool

    @classmethod
    def of(cls, config: RunConfig, space: SearchSpace, architecture: Architecture) -> Setup:
        """Refuses a device or a precision that is not there, and compile=true where that cannot be."""
        device = choose_device(config.device)
        precision = choose_precision(config.train.precision, device, automatic="bf16")
        compiled, _ = choose_compile(config.compile, device, deterministic=config.deterministic)
        return cls(config, space, architecture, device, precision, compiled)

    @property
    def channels_last(self) -> bool:
        return self.device.type == "cuda" if self.config.channels_last is None else self.config.channels_last

    def classifier(self, space: SearchSpace | None = None, architecture: Architecture | None = None) -> Classifier:
        """As `datagen.run` makes them, of `arch=` or of another network."""
        network = build_network(space or self.space, architecture or self.architecture, seed=self.config.seed)
        return Classifier(
            network.to(self.device),
            precision=self.precision,
            channels_last=self.channels_last,
            compiled=self.compiled,
        )


def noise_images(n: int, side: int, seed: int) -> Split:
    """Three-channel images with labels of ten classes, all of them random."""
    random = generator(seed, "noise images", n)
    images = torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=random)
    return Split("noise", images, torch.randint(0, 10, (n,), generator=random))


# The largest relative errors that pass, in the order of the rows: several times those on a processor, where fresh small
# networks in bfloat16 turn the change of the weights by 40 to 50 %, in float16 by 14 %.  TF32 rounds as float16 does.
TOLERANCES = {
    "float32": (0.01, 1e-5, 1e-4, 1e-4, 1e-3, 1e-4),
    "tf32": (0.05, 1e-3, 0.01, 0.05, 0.5, 0.01),
    "fp16": (0.05, 1e-3, 0.01, 0.05, 0.5, 0.01),
    "bf16": (0.1, 5e-3, 0.1, 0.1, 0.9, 0.05),
}


def attacked(classifier: Classifier, plan: TrainConfig, clean: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
    """The images that the step trains on."""
    objective = LOSSES[plan.loss](plan.beta)
    return build_attack(plan, objective).perturb(classifier, clean, objective.target(classifier, clean, labels), noise)


def step(
    classifier: Classifier, plan: TrainConfig, clean: Tensor, adversarial: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """Train the network for one step: what it found, and what it changed as one vector each."""
    network = classifier.network
    weights = list(network.parameters())
    statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    before = joined(weights), joined(statistics)
    optimiser = build_optimiser(network, plan, classifier.device)
    scaler = torch.amp.GradScaler(
        classifier.device.type, enabled=classifier.precision == "fp16", init_scale=FP16_LOSS_SCALE
    )
    network.train()
    loss, logits = LOSSES[plan.loss](plan.beta).step(classifier, clean, adversarial, labels)
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    scaler.unscale_(optimiser)
    norm = nn.utils.clip_grad_norm_(weights, plan.clip_norm)
    scaler.step(optimiser)
    return {
        "loss": loss.detach(),
        "logits": logits.detach(),
        "norm of the gradient": norm.detach(),
        "change of the weights": joined(weights) - before[0],
        "change of the batch norms": joined(statistics) - before[1],
    }


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """A vector of all values; a copy."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Of a whole tensor, by its norm; infinite where something is not finite."""
    found, exact = found.detach().cpu().double(), exact.detach().cpu().double()
    error = ((found - exact).norm() / exact.norm().clamp_min(1e-300)).item()
    return error if np.isfinite(error) else float("inf")


def parity(setup: Setup) -> list[Row]:
    """One step on the device against float64 on the processor, which then trains on the device's attacked images."""
    plan, device, space = setup.config.train, setup.device, setup.space
    split, random = noise_images(PARITY_IMAGES, space.image_size, setup.config.seed), generator(0, "check")
    clean = as_unit_floats(crop_and_flip(split.images, random, padding=plan.crop_padding, flip=plan.flip))
    noise = torch.randn(clean.shape, generator=random)
    exact = Classifier(build_network(space, setup.architecture, seed=setup.config.seed).double(), precision="float64")
    reference = attacked(exact, plan, clean.double(), split.labels, noise.double())
    on_device, labels = clean.to(device), split.labels.to(device)
    classifier = setup.classifier()
    with float32_rule(setup.precision):
        adversarial = attacked(classifier, plan, on_device, labels, noise.to(device))
        found = step(classifier, plan, on_device, adversarial, labels)
    theirs = adversarial.cpu().double()
    objective = LOSSES[plan.loss](plan.beta)
    target = objective.target(exact, clean.double(), split.labels)
    with exact.frozen():
        began, gained, reached = (
            objective.climb(exact(images), target).mean() for images in (clean.double(), theirs, reference)
        )
    wanted = step(exact, plan, clean.double(), theirs, split.labels)
    errors = {"attack: gain of the loss": relative_error(gained - began, reached - began)}
    errors |= {f"step: {name}": relative_error(found[name], value) for name, value in wanted.items()}
    return [
        Row(f"{name}, {PARITY_IMAGES} images", f"{error:.2g}", f"error at most {limit:g}", error <= limit)
        for (name, error), limit in zip(errors.items(), TOLERANCES[setup.precision], strict=True)
    ]


def run_training(
    setup: Setup,
    classifier: Classifier,
    folder: Path,
    *,
    epochs: int,
    batch: int,
    images: int,
    watch: Watch | None = None,
) -> dict[str, list[float]]:
    """The curves of a training on noise, which is looked at as little as possible."""
    network: Any = classifier.network
    side, seed = network.space.image_size, setup.config.seed
    few = noise_images(TINY_BATCH, side, seed + 1).to(setup.device)
    dataset = Dataset("noise", noise_images(images, side, seed).to(setup.device), few, few, classes=10)
    plan = replace(setup.config.train, epochs=epochs, batch=batch)
    config = replace(setup.config, train=plan, attack=AttackConfig(pgd_steps=1, cw_steps=1))
    said: list[str] = []
    batches = Batches(TINY_BATCH, said.append)
    with float32_rule(setup.precision):
        found = train(
            classifier, dataset, config, folder=folder, identity={}, batches=batches, say=said.append, watch=watch
        )
    return found.history


def memory_and_speed(setup: Setup) -> list[Row]:
    """Two epochs at the real batch, of which the first warms up."""
    plan, device = setup.config.train, setup.device
    images = STEPS[device.type] * plan.batch
    reset_peak_memory(device)
    with tempfile.TemporaryDirectory() as folder:
        run_training(setup, setup.classifier(), Path(folder), epochs=2, batch=plan.batch, images=images)
        lines = [json.loads(line) for line in (Path(folder) / FILE).read_text(encoding="utf-8").splitlines()]
    release_memory()
    return [_memory(setup, images, lines[-1]["peak_memory_mib"]), *_speed(setup, lines[-1])]


def _memory(setup: Setup, images: int, peak_mib: float) -> Row:
    name = f"memory at its peak, batch {setup.config.train.batch}"
    settings = MemorySettings(
        train_batch=setup.config.train.batch,
        train_graphs=GRAPHS[setup.config.train.loss],
        evaluation_batch=TINY_BATCH,
        train_precision=setup.precision,
        test_precision=setup.precision,
        images=images,
        test_images=TINY_BATCH,
        overhead=gigabytes(setup.config.overhead_gb),
    )
    estimate = estimate_memory(setup.space, setup.space.indices([setup.architecture]), settings)
    step, total = int(estimate.training[0]), int(estimate.total[0])
    expected = f"at most {total / GB:.3g} GB: {step / GB:.3g} and overhead_gb={setup.config.overhead_gb:g}"
    if setup.device.type != "cuda":
        return Row(name, "not measured", expected, None)
    peak = peak_mib * 2**20
    return Row(name, f"{peak / GB:.3g} GB, {peak / step:.2f} of the estimate", expected, peak <= total)


def _speed(setup: Setup, line: dict[str, Any]) -> list[Row]:
    tflops, rate = line["tflops"], matmul_rate(setup.device, setup.precision) / 1e12
    peak = peak_tflops(device_name(setup.device), setup.precision)
    share = f"{100 * tflops / peak:.1f} %" if peak else "no peak known for this device"
    measured = f"{100 * tflops / rate:.1f} % of {rate:.3g} TFLOP/s"
    return [
        Row("speed of training steps", f"{line['images_a_second']:.4g} images/s, {tflops:.3g} TFLOP/s", "", None),
        Row("of the published peak", share, "at most 100 %" if peak else "", tflops <= peak if peak else None),
        Row("of a measured matrix product", measured, "", None),
    ]


class Interruption(Exception):  # noqa: N818
    """Ends a training where a kill would."""


class StopAfterFirst(Watch):
    def after_epoch(self, epoch: int) -> None:
        if epoch == 0:
            raise Interruption


def tiny_training(setup: Setup, folder: Path, *, stopped: bool) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """Curves and last state of a tiny training, which is stopped after an epoch and goes on."""
    for watch in [StopAfterFirst(), None] if stopped else [None]:
        classifier = setup.classifier(TINY, TINY.parse("1-2-2-1"))
        try:
            history = run_training(
                setup, classifier, folder, epochs=TINY_EPOCHS, batch=TINY_BATCH, images=4 * TINY_BATCH, watch=watch
            )
        except Interruption:
            continue
    return history, classifier.network.state_dict()


def resume(setup: Setup) -> list[Row]:
    """A training that was stopped after its first epoch against two that were not."""
    with tempfile.TemporaryDirectory() as name:
        first, second, resumed = (
            tiny_training(setup, Path(name, part), stopped=part == "resumed") for part in ("first", "second", "resumed")
        )
    exact = setup.device.type == "cpu" or setup.config.deterministic
    differing = _differences(first, resumed)
    expected = "equal, bit for bit" if exact else "equal, or said what differs; required with deterministic=true"
    if differing and not exact:
        differing += f"; of two undisturbed trainings: {_differences(first, second) or 'nothing'}"
    return [Row("resume after an epoch", differing or "equal, bit for bit", expected, not (differing and exact))]


def _differences(
    one: tuple[dict[str, list[float]], dict[str, Tensor]], other: tuple[dict[str, list[float]], dict[str, Tensor]]
) -> str:
    curves = [name for name, values in one[0].items() if values != other[0][name]]
    tensors = {name: (value, other[1][name]) for name, value in one[1].items()}
    errors = {name: relative_error(b.float(), a.float()) for name, (a, b) in tensors.items() if not torch.equal(a, b)}
    parts = [f"curves differ ({', '.join(curves)})"] if curves else []
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        parts.append(f"{len(errors)} of {len(tensors)} tensors differ, most {worst} by {errors[worst]:.2g}")
    return "; ".join(parts)


def two_processes(setup: Setup) -> list[Row]:
    """Two commands of `datagen.run` with the same two trainings."""
    with tempfile.TemporaryDirectory() as name:
        words = [*TWO_WORDS, f"archs={','.join(TWO)}", f"store={name}/store", f"device={setup.device}"]
        words.append(f"compile={str(setup.compiled).lower()}")
        codes, said = _run_both([sys.executable, "-m", "datagen.run", *words])
        store = EntryStore(f"{name}/store")
        entries = [str(entry.architecture) for entry in store.entries()] if not any(codes) else []
    done = sum(": best epoch" in line for line in said.splitlines())
    passed = codes == [0, 0] and sorted(entries) == sorted(TWO) and done == len(TWO)
    last = "" if passed else f"; the last line: {''.join(said.strip().splitlines()[-1:])}"
    measured = f"{len(entries)} entries, {done} trainings done, exit codes {codes[0]} and {codes[1]}{last}"
    return [Row("two processes on one store", measured, "2 entries, 2 trainings, 0 and 0", passed)]


def _run_both(command: list[str]) -> tuple[list[int], str]:
    """Exit codes of two processes with the same command, and all that they said."""
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    try:
        said = [process.communicate(timeout=TWO_SECONDS)[0] for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    return [process.returncode for process in running], "".join(said)


CHECKS: dict[str, Callable[[Setup], list[Row]]] = {
    "one step against float64": parity,
    "memory and speed": memory_and_speed,
    "resume": resume,
    "two processes": two_processes,
}


def carry_out(setup: Setup) -> list[Row]:
    """All rows; a check that breaks off has one that says why."""
    rows: list[Row] = []
    for name, check in CHECKS.items():
        note(f"{name} ...")
        try:
            rows += check(setup)
        except Exception as error:  # whatever a device may raise belongs into the report
            rows.append(Row(name, f"{type(error).__name__}: {one_line(error)}", "no error", False))
        release_memory()
    return rows
