"""The keys of `datagen.run`, and the words that give them.

    archs=5-10-5-10-5-10 profile=cifar10 store=entries
    archs=all profile=digits space.depth_choices=[4,5] space.width_choices=[8,10]

A profile is a complete set of defaults (`profiles`); every key can be overridden.
Perturbations are given in 255ths, the steps of an 8-bit pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from datagen.profiles import LOSSES, PROFILES, defaults
from nasbench_ar import SearchSpace
from nasbench_ar.errors import ConfigError, quotable, shown
from nasbench_ar.system import checked_json as checked
from nasbench_ar.system.engine import ENGINES
from nasbench_ar.system.key_values import check_keys, known_keys, read_words, split_words, with_values

VALIDATIONS = {  # of each source
    "cifar10": ("cifar10.1", "held_out"),
    "cifar100": ("held_out",),
    "digits": ("held_out",),
    "arrays": ("file", "held_out"),
}
PRECISIONS = ("auto", "bf16", "tf32", "float32")
TRAIN_PRECISIONS = (*PRECISIONS, "fp16")
SCHEDULES = ("drops", "cosine")
AUTOATTACKS = ("none", "compact", "standard")
LEAST_CLASSES = 4  # AutoAttack's targeted DLR loss compares the four largest logits
MOST_COUNT = 10**9  # of epochs, images, steps


@dataclass
class DataConfig:
    """Where images come from.

    Attributes:
        source: cifar10, cifar100, digits or arrays.
        folder: holds CIFAR-10, CIFAR-10.1 and CIFAR-10-C, or CIFAR-100.
        file: the .npz of source arrays.
        download: let torchvision fetch CIFAR-10 or CIFAR-100 into the folder.
        validation: cifar10.1, held_out (from the end of the training images) or file.
        held_out: number of images held out.
        corruptions: folder with CIFAR-10-C or files of its layout, in the data folder or anywhere; null has none.
    """

    source: str = "cifar10"
    folder: str = "data"
    file: str | None = None
    download: bool = False
    validation: str = "cifar10.1"
    held_out: int = 2000
    corruptions: str | None = "CIFAR-10-C"

    def check_validation(self) -> None:
        """ConfigError where the source has no such validation images."""
        allowed = VALIDATIONS[self.source]
        if self.validation not in allowed:
            words = " or ".join(allowed)
            raise ConfigError(f"data.validation={self.validation}: the source {self.source} has {words} only")


def require_classes(classes: int, attacks: str) -> None:
    """Refuse AutoAttack where its loss is undefined."""
    if attacks != "none" and classes < LEAST_CLASSES:
        raise ConfigError(
            f"attack.autoattack={attacks}: the targeted DLR loss needs at least {LEAST_CLASSES} classes and the data "
            f"has {classes}; use attack.autoattack=none"
        )


@dataclass
class SpaceConfig:
    """The search space; image size, channels and classes follow from the data.

    Attributes:
        depth_choices: blocks that a stage may have.
        width_choices: width factors that a stage may have.
        stages: number of stages.
        unit_channels: channels of the stem, and of stage 1 at width factor 1.
    """

    depth_choices: list[int] = field(default_factory=lambda: [4, 5, 7, 9, 11])
    width_choices: list[int] = field(default_factory=lambda: [8, 10, 12, 14, 16])
    stages: int = 3
    unit_channels: int = 16

    def for_images(self, *, size: int, channels: int, classes: int) -> SearchSpace:
        return SearchSpace(
            depth_choices=tuple(self.depth_choices),
            width_choices=tuple(self.width_choices),
            stages=self.stages,
            unit_channels=self.unit_channels,
            image_size=size,
            image_channels=channels,
            classes=classes,
        )


@dataclass
class TrainConfig:
    """The training protocol (NARes, section 3.2).

    Attributes:
        epochs: passes over the training images.
        batch: images a step; the last partial batch is dropped.
        lr: learning rate at the start.
        lr_drops: shares of the epochs after which the rate falls; an epoch before each is kept as a checkpoint.
        lr_factor: by which it falls.
        schedule: drops, as the two keys above say, or cosine, from lr down to nearly 0, a value an epoch.
        momentum: of SGD.
        weight_decay: on weights of convolutions and of the linear layer, and on what the next key says.
        decay_head_norm: whether the weight of the last batch norm decays too, as in the authors' code; false is the
            paper's wording, no decay on batch norms.
        clip_norm: largest norm of the gradient.
        ema: share that the average of the network keeps of itself at each step; it is validated and tested. 0 has none.
        loss: pgd_at, trades or mart; the last two have other defaults for some of the keys below.
        beta: weight of the second term of trades (1/lambda) and mart, 6 for both; 0 with pgd_at, which has none.
        crop_padding: black pixels around an image before the random crop.
        flip: mirror half of the images.
        eps_255: radius of the training attack.
        step_255: its step.
        steps: its number of steps; 0 trains on clean images.
        start_std_255: standard deviation of its normal start, which is not clipped.
        precision: of training and validation; auto is bf16 on CUDA, fp16 on cards without it, float32 on a CPU.
    """

    epochs: int = 100
    batch: int = 128
    lr: float = 0.1
    lr_drops: list[float] = field(default_factory=lambda: [0.75, 0.9])
    lr_factor: float = 0.1
    schedule: str = "drops"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_head_norm: bool = True
    clip_norm: float = 5.0
    ema: float = 0.0
    loss: str = "pgd_at"
    beta: float = 0.0
    crop_padding: int = 4
    flip: bool = True
    eps_255: float = 8.0
    step_255: float = 2.0
    steps: int = 7
    start_std_255: float = 2.0
    precision: str = "auto"

    def drop_epochs(self) -> list[int]:
        """Epochs from which the learning rate is lower: 75 and 90 of 100; none with a cosine, which has no steps."""
        return [int(share * self.epochs + 0.5) for share in self.lr_drops] if self.schedule == "drops" else []


@dataclass
class AttackConfig:
    """Attacks of validation and test (NARes, section 3.3).

    Attributes:
        eps_255: radius of all of them.
        step_255: step of PGD and PGD-CW.
        pgd_steps: steps of PGD.
        cw_steps: steps of PGD-CW.
        autoattack: none, compact (APGD-CE, then targeted APGD-DLR), or standard, which includes compact.
        precision: of the test; auto is tf32 on CUDA, float32 on cards without it and on a CPU.
    """

    eps_255: float = 8.0
    step_255: float = 0.8
    pgd_steps: int = 20
    cw_steps: int = 40
    autoattack: str = "compact"
    precision: str = "auto"


@dataclass
class RunConfig:
    """What one command generates; every field is a key of the command line.

    Attributes:
        archs: one, a comma list, all, a range of arch_ids such as 1-100, or a file with one of these a line.
        profile: cifar10, cifar100, digits, digits-729 or arrays.
        store: folder of entries.
        seed: seed of the trainings.
        seeds: several of them instead, such as 0-2 or 0,5; empty takes seed.
        jobs: worker processes, each with the threads below; null takes one, and with device=all one for each GPU.
        engine: loky or dask; what starts the workers.
        dask: address or file of a scheduler whose workers are used instead of jobs; null starts them here.
        share: begin a training only when the GPU has room for it, so that several commands or jobs may share one.
        overhead_gb: GPU memory that a training takes beside its tensors, for share; assumed, not measured.
        lease: seconds without a sign of life after which a worker has lost its training to others.
        attempts: how often a training may fail, over all commands, before it is left out.
        retry: try those again that failed that often.
        wait: whether to wait for trainings that other commands are working on.
        quiet: say nothing of progress; results, failures and what was changed remain.
        hours: end at the last checkpoint within this time; null has no limit.
        device: auto, cpu, cuda, cuda:1, or all for every visible GPU, each with one training unless share.
        threads: processor threads; null leaves PyTorch's choice.
        batch: images at once in validation and test; halved when memory runs out.
        compile: run the blocks of the network through torch.compile, in training and test; null does so on CUDA only,
            except with deterministic=true, and trains without where that fails.
        channels_last: memory layout; null takes it on CUDA only.
        deterministic: on CUDA, the same bits in every run on the same card, which takes longer.
        log: tensorboard writes what log.jsonl says to event files beside it, too; null does not.
        data: where images come from.
        space: the search space.
        train: the training protocol.
        attack: attacks of validation and test.
    """

    archs: str = ""
    profile: str = "cifar10"
    store: str = "entries"
    seed: int = 0
    seeds: str = ""
    jobs: int | None = None
    engine: str = "loky"
    dask: str | None = None
    share: bool = False
    overhead_gb: float = 2.0
    lease: float = 300.0
    attempts: int = 3
    retry: bool = False
    wait: bool = True
    quiet: bool = False
    hours: float | None = None
    device: str = "auto"
    threads: int | None = None
    batch: int = 500
    compile: bool | None = None
    channels_last: bool | None = None
    deterministic: bool = False
    log: str | None = None
    data: DataConfig = field(default_factory=DataConfig)
    space: SpaceConfig = field(default_factory=SpaceConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    attack: AttackConfig = field(default_factory=AttackConfig)

    def check(self) -> None:
        """Refuse values that no run can have."""
        if not self.archs:
            raise ConfigError("archs= is missing: give archs=5-10-5-10-5-10, a comma list, all, 1-100 or a file")
        if self.seeds and self.seed:
            raise ConfigError(f"seed={quotable(self.seed)} and seeds={quotable(self.seeds)}: give one of them")
        wanted = "null, a number of processes, or -1 for every core"
        _require("jobs", self.jobs, wanted, self.jobs in (None, -1) or self.jobs >= 1)
        _require("engine", self.engine, f"one of {', '.join(ENGINES)}", self.engine in ENGINES)
        if self.dask is not None and (self.engine != "dask" or self.jobs is not None):
            raise ConfigError(
                f"dask={quotable(self.dask)}: it goes with engine=dask and without jobs=, which its workers decide"
            )
        for key in KEYS:
            if isinstance(self[key], float):
                _require(key, self[key], "a finite number", math.isfinite(self[key]))
        _require("overhead_gb", self.overhead_gb, "a number of gigabytes from 0 to 1000", 0 <= self.overhead_gb <= 1000)
        _require("lease", self.lease, "a number of seconds above 0", self.lease > 0)
        _require("hours", self.hours, "null or a number above 0", self.hours is None or self.hours > 0)
        at_least = {
            "seed": 0,
            "attempts": 1,
            "batch": 1,
            "data.held_out": 1,
            "space.stages": 1,
            "space.unit_channels": 1,
        }
        at_least |= {"train.epochs": 1, "train.batch": 2, "train.crop_padding": 0, "train.steps": 0}
        at_least |= {"attack.pgd_steps": 1, "attack.cw_steps": 1}
        for key, least in at_least.items():
            if self[key] < least:
                raise ConfigError(f"{key}={quotable(self[key])}: expected an integer of at least {least}")
            if key != "seed" and self[key] > MOST_COUNT:
                raise ConfigError(f"{key}={quotable(self[key])}: expected an integer of at most {MOST_COUNT}")
        for key in ("lr", "lr_factor", "clip_norm", "eps_255", "step_255"):
            _require(f"train.{key}", self[f"train.{key}"], "more than 0", self[f"train.{key}"] > 0)
        for key in ("eps_255", "step_255"):
            _require(f"attack.{key}", self[f"attack.{key}"], "more than 0", self[f"attack.{key}"] > 0)
        for key in ("train.weight_decay", "train.start_std_255"):
            _require(key, self[key], "0 or more", self[key] >= 0)
        _require("train.momentum", self.train.momentum, "0 or more and below 1", 0 <= self.train.momentum < 1)
        drops = self.train.lr_drops
        rising = all(0 < a < 1 for a in drops) and all(a < b for a, b in pairwise(drops))
        _require("train.lr_drops", drops, "ascending shares of the epochs between 0 and 1", rising)
        self._check_drops()
        if self.train.schedule == "cosine":
            for key in ("lr_drops", "lr_factor"):
                unused = self[f"train.{key}"] == getattr(TrainConfig(), key)
                _require(
                    f"train.{key}", self[f"train.{key}"], "no value, since train.schedule=cosine has no drops", unused
                )
        _require("train.ema", self.train.ema, "0 for none, or a number below 1, such as 0.999", 0 <= self.train.ema < 1)
        _require("log", self.log, "null or tensorboard", self.log in (None, "tensorboard"))
        _require("threads", self.threads, "null or at least 1", self.threads is None or self.threads >= 1)
        for key, allowed in (
            ("data.source", tuple(VALIDATIONS)),
            ("train.loss", tuple(LOSSES)),
            ("train.schedule", SCHEDULES),
            ("train.precision", TRAIN_PRECISIONS),
            ("attack.precision", PRECISIONS),
            ("attack.autoattack", AUTOATTACKS),
        ):
            _require(key, self[key], f"one of {', '.join(allowed)}", self[key] in allowed)
        self.data.check_validation()
        loss, pgd_at = self.train.loss, self.train.loss == "pgd_at"
        wanted = "0, since loss pgd_at has no second term" if pgd_at else f"more than 0 with loss {loss}"
        _require("train.beta", self.train.beta, wanted, self.train.beta == 0 if pgd_at else self.train.beta > 0)
        _require("train.steps", self.train.steps, f"at least 1 with loss {loss}", pgd_at or self.train.steps >= 1)
        if self.data.source == "arrays" and not self.data.file:
            raise ConfigError(
                "data.file= is missing: profile=arrays needs an .npz with train_images, train_labels, val_images, "
                "val_labels, test_images and test_labels"
            )

    def _check_drops(self) -> None:
        """Refuse drops that merge or never come; the default ones take any number of epochs."""
        falls, epochs = self.train.drop_epochs(), self.train.epochs
        wanted = f"falls at different epochs after the first (0) and before the end ({epochs})"
        fit = len(set(falls)) == len(falls) and all(0 < fall < epochs for fall in falls)
        drops, default = self.train.lr_drops, TrainConfig().lr_drops
        _require("train.lr_drops", drops, f"{wanted}; these are at {quotable(falls)}", fit or drops == default)

    def check_images(self, *, train: int, side: int, classes: int) -> None:
        """Refuse what the images are too few or too small for, or have too few classes for."""
        if self.train.batch > train:
            raise ConfigError(
                f"train.batch={self.train.batch}: there are only {train} training images; use a smaller batch"
            )
        if self.train.crop_padding > side:
            raise ConfigError(
                f"train.crop_padding={self.train.crop_padding}: the images are {side} pixels wide; use at most {side}"
            )
        require_classes(classes, self.attack.autoattack)

    def __getitem__(self, key: str) -> Any:
        value: Any = self
        for part in key.split("."):
            value = getattr(value, part)
        return value


_KINDS: dict[type, Callable[[Any], Any]] = {
    bool: checked.truth,
    int: checked.count,
    float: checked.number,
    str: checked.line,
}


# Settings that came after protocol version 2, at values that change nothing.  A protocol leaves them out there, so that
# stores and checkpoints from before go on.
LATER = {"loss": "pgd_at", "beta": 0.0, "schedule": "drops", "ema": 0.0}


def train_settings(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The training of a stored protocol; version 1 let no batch norm decay and had no key for it."""
    return {**LATER, **({"decay_head_norm": False} if protocol["version"] == 1 else {}), **protocol["train"]}


def check_protocol(content: Mapping[str, Any]) -> None:
    """Refuse a stored protocol that lacks a setting or has a value that no run can have."""
    settings: dict[str, Any] = {}
    for part, schema, stored in (
        ("train", TrainConfig, train_settings(content)),
        ("attack", AttackConfig, content["attack"]),
    ):
        found: dict[str, Any] = {}
        for key, default in asdict(schema()).items():
            value = stored[key]
            try:
                if isinstance(default, list):
                    found[key] = list(map(checked.number, value))
                else:
                    found[key] = _KINDS[type(default)](value)
            except ValueError as error:
                raise ValueError(f"{part}.{key}: {error}") from None
        settings[part] = schema(**found)
    RunConfig(archs="all", **settings).check()


def _require(key: str, value: object, allowed: str, holds: bool) -> None:
    if not holds:
        raise ConfigError(f"{key}={quotable(value)}: expected {allowed}")


def parse_command_line(words: Sequence[str]) -> RunConfig:
    pairs = [(key, text.strip("[]") if key == "seeds" else text) for key, text in split_words(words)]
    check_keys([key for key, _ in pairs], KEYS)
    profile = dict(pairs).get("profile", "cifar10")
    if profile not in PROFILES:
        raise ConfigError(f"unknown profile {shown(profile)}; known: {', '.join(PROFILES)}")
    loss = dict(pairs).get("train.loss", "pgd_at")
    _require("train.loss", loss, f"one of {', '.join(LOSSES)}", loss in LOSSES)
    config = read_words(pairs, with_values(RunConfig(), defaults(profile, loss)))
    config.check()
    return config


KEYS = known_keys(RunConfig)
