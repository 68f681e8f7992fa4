"""Train and evaluate architectures, and store an entry for each (NARes, sections 3.2 and 3.3).

    python -m datagen.run archs=5-10-5-10-5-10 profile=cifar10 store=entries
    python -m datagen.run archs=1-100 profile=digits store=entries
    python -m datagen.run --help

Stop it at any time: the same command goes on from the last finished epoch.

Exit codes: 0; 1 when an architecture failed (the others are done, and the reason is in
the store); 2 for anything the user can mend, one line on standard error; 130 when interrupted.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from datagen.assessment import assess
from datagen.autoattack import require_classes
from datagen.checkpoint import load_checkpoint
from datagen.classifier import Classifier, float32_rule
from datagen.config import RunConfig, describe_keys, parse_command_line
from datagen.data import Dataset, load_dataset
from datagen.entry import Entry
from datagen.evaluate import Batches
from datagen.hardware import (
    choose_device,
    choose_precision,
    describe_code,
    describe_hardware,
    device_name,
    peak_memory_mib,
    release_memory,
    reset_peak_memory,
)
from datagen.identity import content_hash, protocol, training_identity
from datagen.model import build_network
from datagen.profiles import PROFILES
from datagen.selection import select
from datagen.store import EntryStore
from datagen.train import BEST, train
from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.errors import NasbenchError, ResultsError, TrainingError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Generator:
    """What all architectures of one command have in common.

    Attributes:
        config: as it was asked for.
        device: where everything runs.
        dataset: on that device, except for corruptions.
        facts: names, counts and hashes of the dataset.
        space: the search space.
        protocol: what the store is of.
        store: where entries go.
        say: told about progress, a line at a time.
    """

    config: RunConfig
    device: torch.device
    dataset: Dataset
    facts: dict[str, Any]
    space: SearchSpace
    protocol: dict[str, Any]
    store: EntryStore
    say: Say

    @classmethod
    def prepare(cls, config: RunConfig, say: Say) -> Generator:
        """Check everything that can be checked before any work, and claim the store.

        Raises:
            NasbenchError: when the configuration cannot be carried out.
        """
        config.check()
        device = choose_device(config.device)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        train_precision = choose_precision(config.train.precision, device, automatic="bf16")
        test_precision = choose_precision(config.attack.precision, device, automatic="tf32")
        dataset = load_dataset(config.data)
        require_classes(dataset.classes, config.attack.autoattack)
        space = build_space(config, dataset)
        select(config.archs, space)
        settings = protocol(config, space, train_precision=train_precision, test_precision=test_precision)
        facts = dataset.describe()
        store = EntryStore(config.store)
        store.claim(config.profile, settings, facts)
        say(f"{dataset.name} on {device_name(device)}, training in {train_precision}, test in {test_precision}")
        say(f"validation on {len(dataset.val)} images: {dataset.val.name}")
        splits = {purpose: getattr(dataset, purpose).to(device) for purpose in ("train", "val", "test")}
        return cls(config, device, replace(dataset, **splits), facts, space, settings, store, say)

    def classifier(self, architecture: Architecture, *, purpose: str) -> Classifier:
        """A fresh network on the device, run as `purpose`, `train` or `attack`, wants it."""
        config = self.config
        network = build_network(self.space, architecture, seed=config.seed).to(self.device)
        layout = self.device.type == "cuda" if config.channels_last is None else config.channels_last
        if config.compile:
            torch.compiler.reset()  # compiled variants are counted over all networks, and limited
        return Classifier(
            network,
            precision=self.protocol[purpose]["precision"],
            channels_last=layout,
            compiled=config.compile and purpose == "train",
        )

    def generate(self, architecture: Architecture) -> Entry:
        """Train, test and store one architecture, from where an earlier run left it.

        Raises:
            TrainingError: it diverged, or memory ran out.
            ResultsError: a checkpoint is damaged or of another training, or nothing can be written.
        """
        config, folder = self.config, self.store.work_folder(architecture, self.config.seed)
        identity = training_identity(self.protocol, self.facts, architecture, config.seed)
        batches = Batches(config.batch, self.say)
        reset_peak_memory(self.device)
        classifier = self.classifier(architecture, purpose="train")
        with float32_rule(classifier.precision):
            training = train(
                classifier,
                self.dataset,
                config,
                folder=folder,
                identity=identity,
                batches=batches,
                say=self.say,
            )
        began = time.perf_counter()
        classifier = self.classifier(architecture, purpose="attack")
        classifier.network.load_state_dict(load_checkpoint(folder / BEST, identity)["network"])
        found = assess(classifier, self.dataset, config.attack, batches, seed=config.seed, say=self.say)
        if wrong := [name for name, value in found.metrics.items() if not math.isfinite(value)]:
            raise TrainingError(f"the test of the best epoch is not finite: {', '.join(wrong)}")
        entry = Entry(
            architecture=architecture,
            arch_id=self.space.arch_id(architecture),
            seed=config.seed,
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
                "train_seconds": training.seconds,
                "test_seconds": time.perf_counter() - began,
                "peak_memory_mib": peak_memory_mib(self.device),
                "evaluation_batch": batches.size,
                "autoattack_warnings": found.warnings,
                "hardware": describe_hardware(self.device),
                **describe_code(),
                "config": config.to_dict(),
            },
        )
        self.store.save(entry)
        return entry


def build_space(config: RunConfig, dataset: Dataset) -> SearchSpace:
    """The search space of a configuration, for the images of a dataset."""
    return SearchSpace(
        depth_choices=tuple(config.space.depth_choices),
        width_choices=tuple(config.space.width_choices),
        stages=config.space.stages,
        unit_channels=config.space.unit_channels,
        image_size=dataset.image_size,
        image_channels=dataset.image_channels,
        classes=dataset.classes,
    )


def run(config: RunConfig) -> int:
    """Carry out a configuration; returns the exit code.

    Raises:
        NasbenchError: when it cannot be carried out at all.
    """
    generator = Generator.prepare(config, _note)
    chosen = select(config.archs, generator.space)
    failed: dict[Architecture, str] = {}
    for number, architecture in enumerate(chosen, 1):
        title = f"{architecture} ({number} of {len(chosen)})"
        try:
            if generator.store.has(architecture, config.seed):
                _note(f"{title}: its entry is in {config.store} already")
                continue
            _note(f"{title}: begins")
            entry = replace(generator, say=partial(_note_on, title)).generate(architecture)
        except (TrainingError, ResultsError) as error:
            failed[architecture] = str(error)
            release_memory()
            generator.store.record_failure(architecture, config.seed, str(error))
            _note(f"{title}: failed: {error}")
            continue
        print(summary(entry), flush=True)
    done = len(chosen) - len(failed)
    print(f"{generator.store.folder}: {done} of {len(chosen)} architectures have an entry")
    for architecture, reason in failed.items():
        print(f"failed: {architecture}: {reason}")
    return 1 if failed else 0


def summary(entry: Entry) -> str:
    """An entry in one line."""
    names = {"test_clean_acc": "clean", "test_fgsm_acc": "FGSM", "test_pgd_acc": "PGD", "test_cw_acc": "PGD-CW"}
    names |= {"test_aa_acc": "AA-Compact", "test_aa_standard_acc": "AutoAttack", "test_corrupt_acc": "corruptions"}
    values = [f"{label} {entry.test[name]:.2f}" for name, label in names.items() if name in entry.test]
    seconds = entry.provenance["train_seconds"] + entry.provenance["test_seconds"]
    wrong = [name for name, failed in entry.sanity.items() if failed]
    flags = f"; check {', '.join(wrong)}" if wrong else ""
    return f"{entry.architecture}: best epoch {entry.best_epoch}; test {', '.join(values)} %; {seconds:.0f} s{flags}"


def _note_on(title: str, text: str) -> None:
    _note(f"{title}: {text}")


def _note(text: str) -> None:
    print(f"datagen: {text}", file=sys.stderr, flush=True)


def help_text() -> str:
    """What `--help` prints."""
    return (
        "usage: python -m datagen.run archs=... [key=value ...]\n\n"
        f"keys and their defaults under profile=cifar10:\n{describe_keys()}\n"
        f"profiles: {', '.join(PROFILES)}; what they change is in datagen/profiles.py"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        print(help_text())
        return 0
    try:
        return run(parse_command_line(words))
    except NasbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
