"""One training from fresh weights to its entry (NARes, sections 3.2 and 3.3)."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from datagen.attack.assessment import assess
from datagen.attack.evaluator import Batches
from datagen.config import RunConfig
from datagen.hardware import (
    choice_of_kernels,
    choose_compile,
    choose_devices,
    common_precision,
    describe_code,
    describe_hardware,
    device_name,
    peak_memory_mib,
    release_memory,
    reset_peak_memory,
)
from datagen.images.datasets import load_dataset
from datagen.images.splits import Dataset
from datagen.network.classifier import Classifier, compiled_code_failed, float32_rule
from datagen.network.model import build_network
from datagen.store.entry import Entry
from datagen.store.failures import Failure, utc_time
from datagen.store.folder import EntryStore
from datagen.store.identity import content_hash, identity_of_test, protocol, training_identity
from datagen.training.checkpoint import CheckpointWriter
from datagen.training.finished_attacks import FinishedAttacks
from datagen.training.train import MixedCheckpointsError, Training, Watch, discard, load_best, train
from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import ConfigError, one_line
from nasbench_ar.system.extras import require

Say = Callable[[str], None]


@dataclass(frozen=True)
class Generator:
    """What all architectures of one command have in common; the dataset is on the processor until `on_device`.

    `devices` are those that a training may take, `device` is the first of them or the one taken.
    """

    config: RunConfig
    devices: tuple[torch.device, ...]
    device: torch.device
    dataset: Dataset
    facts: dict[str, Any]
    space: SearchSpace
    protocol: dict[str, Any]
    store: EntryStore

    @classmethod
    def prepare(cls, config: RunConfig) -> Generator:
        """Check everything that can be checked before any work; writes nothing."""
        config.check()
        devices = choose_devices(config.device)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        for device in devices:  # one that cannot compile is refused
            choose_compile(config.compile, device, deterministic=config.deterministic)
        train_precision = common_precision("train", config.train.precision, devices, automatic="bf16")
        test_precision = common_precision("attack", config.attack.precision, devices, automatic="tf32")
        if config.log:
            require(f"log={config.log}", "tensorboard")
        dataset = load_dataset(config.data)
        config.check_images(train=len(dataset.train), side=dataset.image_size, classes=dataset.classes)
        space = build_space(config, dataset)
        settings = protocol(config, space, train_precision=train_precision, test_precision=test_precision)
        facts = dataset.describe()
        store = EntryStore(config.store, config.lease)
        return cls(config, devices, devices[0], dataset, facts, space, settings, store)

    @property
    def gpus(self) -> int:
        return sum(device.type == "cuda" for device in self.devices)

    def claim(self) -> None:
        self.store.claim(self.config.profile, self.protocol, self.facts)

    def describe(self) -> list[str]:
        """What will be trained on what, a line each."""
        settings, dataset = self.protocol, self.dataset
        precisions = f"training in {settings['train']['precision']}, test in {settings['attack']['precision']}"
        reasons = dict.fromkeys(self._compiles(device)[1] for device in self.devices)
        return [
            f"{dataset.name} on {' and '.join(map(device_name, self.devices))}, {precisions}",
            f"validation on {len(dataset.val)} images: {dataset.val.name}",
            *(f"not compiled: {why}" for why in reasons if why),
        ]

    def _compiles(self, device: torch.device) -> tuple[bool, str]:
        return choose_compile(self.config.compile, device, deterministic=self.config.deterministic)

    def on_device(self, device: torch.device) -> Generator:
        """A copy with its images on a device, except for corruptions."""
        splits = {purpose: getattr(self.dataset, purpose).to(device) for purpose in ("train", "val", "test")}
        return replace(self, device=device, dataset=replace(self.dataset, **splits))

    def classifier(self, architecture: Architecture, seed: int, *, purpose: str, compiled: bool = False) -> Classifier:
        """A fresh network on the device; `purpose` is `train` or `attack`."""
        config = self.config
        network = build_network(self.space, architecture, seed=seed).to(self.device)
        layout = self.device.type == "cuda" if config.channels_last is None else config.channels_last
        return Classifier(
            network,
            precision=self.protocol[purpose]["precision"],
            channels_last=layout,
            compiled=compiled,
        )

    def generate(
        self,
        architecture: Architecture,
        seed: int,
        *,
        say: Say,
        watch: Watch | None = None,
        past: Failure | None = None,
    ) -> Entry:
        """Train and test one architecture, from where an earlier run left it; `past` failures go to the provenance."""
        watch, past = watch or Watch(), past or Failure(str(architecture), seed)
        compiled, _ = self._compiles(self.device)
        with choice_of_kernels(self.device, deterministic=self.config.deterministic):
            try:
                return self._generate(architecture, seed, say, watch, past, compiled=compiled)
            except Exception as error:
                if not (compiled and compiled_code_failed(error)):
                    raise
                why = f"{type(error).__name__}: {one_line(error).partition(' Set TORCHDYNAMO_VERBOSE')[0]}"
                if self.config.compile:
                    raise ConfigError(
                        f"compile=true failed ({why}); leave compile= out, or say compile=false"
                    ) from error
                say(f"compiling failed, and it goes on without ({why})")
            # Here the error is gone, and with it the frames that hold tensors.  What is not stored is computed anew.
            release_memory()
            return self._generate(architecture, seed, say, watch, past, compiled=False)

    def _generate(
        self, architecture: Architecture, seed: int, say: Say, watch: Watch, past: Failure, *, compiled: bool
    ) -> Entry:
        config = replace(self.config, seed=seed, seeds="")
        batches = Batches(config.batch, say)
        progress: Say = (lambda text: None) if config.quiet else say
        reset_peak_memory(self.device)
        training, best = self._trained(architecture, config, batches, say, progress, watch, compiled=compiled)
        classifier = self.classifier(architecture, seed, purpose="attack", compiled=compiled)
        classifier.network.load_state_dict(best["network"])
        attacks = FinishedAttacks(
            self.store.work_folder(architecture, seed),
            identity_of_test(self.protocol, self.facts, seed, best["digest"], config.batch),
            training_seconds=training.seconds,
            batches=batches,
            watch=watch,
            say=progress,
        )
        found = assess(classifier, self.dataset, config.attack, batches, seed=seed, say=progress, keep=attacks.keep)
        return Entry(
            architecture=architecture,
            arch_id=self.space.arch_id(architecture),
            seed=seed,
            macs=self.space.macs(architecture),
            params=self.space.params(architecture),
            best_epoch=training.best_epoch,
            curves=training.history,
            test=found.metrics,
            corruption_acc=found.corruption_acc,
            corruption_loss=found.corruption_loss,
            masks=found.masks,
            sanity=found.sanity,
            details=found.details,
            provenance={
                "profile": config.profile,
                "protocol_sha256": content_hash(self.protocol),
                "dataset_sha256": content_hash(self.facts),
                "timestamp": time.strftime("%Y-%m-%d"),
                "finished": utc_time(),
                "host": socket.gethostname(),
                "attempts": past.attempts + 1,
                "interruptions": past.interruptions,
                "train_seconds": training.seconds,
                "test_seconds": sum(attacks.seconds.values()),
                "peak_memory_mib": peak_memory_mib(self.device),
                "evaluation_batch": batches.size,
                "autoattack_warnings": found.warnings,
                "compiled": compiled,
                "hardware": describe_hardware(self.device),
                **describe_code(),
                "config": asdict(config),
            },
        )

    def _trained(
        self,
        architecture: Architecture,
        config: RunConfig,
        batches: Batches,
        say: Say,
        progress: Say,
        watch: Watch,
        *,
        compiled: bool,
    ) -> tuple[Training, dict[str, Any]]:
        """The finished training and the checkpoint of its best epoch."""
        folder = self.store.work_folder(architecture, config.seed)
        identity = training_identity(self.protocol, self.facts, architecture, config.seed)
        for last_try in (False, True):
            classifier = self.classifier(architecture, config.seed, purpose="train", compiled=compiled)
            background = self.device.type == "cuda"
            with float32_rule(classifier.precision), CheckpointWriter(background=background) as checkpoints:
                training = train(
                    classifier,
                    self.dataset,
                    config,
                    folder=folder,
                    identity=identity,
                    batches=batches,
                    say=progress,
                    watch=watch,
                    checkpoints=checkpoints,
                )
            try:
                return training, load_best(folder, identity, training)
            except MixedCheckpointsError as error:
                discard(folder)
                if last_try:
                    raise
                say(f"{error}; all its checkpoints are removed, and it is trained anew")
        raise AssertionError("one of the two tries has returned or raised")


def build_space(config: RunConfig, dataset: Dataset) -> SearchSpace:
    side, channels = dataset.image_size, dataset.image_channels
    return config.space.for_images(size=side, channels=channels, classes=dataset.classes)


def summary(entry: Entry) -> str:
    names = {"test_clean_acc": "clean", "test_fgsm_acc": "FGSM", "test_pgd_acc": "PGD", "test_cw_acc": "PGD-CW"}
    names |= {"test_aa_acc": "AA-Compact", "test_aa_standard_acc": "AutoAttack", "test_corrupt_acc": "corruptions"}
    values = [f"{label} {entry.test[name]:.2f}" for name, label in names.items() if name in entry.test]
    seconds = entry.provenance["train_seconds"] + entry.provenance["test_seconds"]
    wrong = [name for name, failed in entry.sanity.items() if failed]
    flags = f"; check {', '.join(wrong)}" if wrong else ""
    return f"{entry.architecture}: best epoch {entry.best_epoch}; test {', '.join(values)} %; {seconds:.0f} s{flags}"
