"""What a worker asks and tells while it trains; its outcomes are in `test_run` and `test_sharing_a_store`."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from datagen.config import RunConfig
from datagen.images.splits import Dataset, Split
from datagen.planning.cost_model import from_published
from datagen.planning.workload import Images, workload
from datagen.store.claims import Claim, LeaseLostError
from datagen.store.folder import EntryStore
from datagen.training.pipeline import Generator
from datagen.training.train import Watch
from datagen.workers import worker
from datagen.workers.stopping import Stop, StoppedError
from datagen.workers.worker import TEST_SLOWDOWN, Order, Outcome, seconds_a_pass
from nasbench_ar import NARES, Architecture
from nasbench_ar.system.command import TerminatedError
from tests.datagen.conftest import Command
from tests.datagen.synthetic_entries import make_entry, make_store

A = Architecture(1, 1, 2, 2)
LOAD = workload(asdict(RunConfig().train), asdict(RunConfig().attack), Images(256, 40, 20, 0, 8, 1, 3), 10)
EPOCHS = 10


def split(n: int) -> Split:
    return Split("toy", torch.zeros(n, 1, 8, 8, dtype=torch.uint8), torch.zeros(n, dtype=torch.long))


class Asked(Stop):
    """A stop that notes what is ahead and never ends anything."""

    ahead: list[float]

    def reason(self, ahead: float = 0.0) -> str | None:
        self.ahead.append(ahead)
        return "enough" if ahead > 1000 else None


@pytest.fixture
def watch(tmp_path: Path) -> tuple[Watch, EntryStore, Asked]:
    """That of a training of ten epochs, its store, and what may end it."""
    store = make_store(tmp_path / "store")
    claim = store.claims.take(f"{A}-seed0", device="cpu", command="c")
    assert isinstance(claim, Claim)
    stop = Asked(tmp_path / "marker")
    object.__setattr__(stop, "ahead", [])
    config = RunConfig(batch=10)
    config.train.epochs = EPOCHS

    class Generator:
        pass

    generator: Any = Generator()
    generator.store, generator.space = store, store.space()
    generator.protocol = {"version": 2, "train": asdict(config.train), "attack": asdict(config.attack)}
    generator.dataset = Dataset("toy", *(split(n) for n in (256, 40, 20)), classes=3)
    outcome = functools.partial(Outcome, architecture=A, seed=0, title="t")
    return worker._watch(Order(config, "c", stop), generator, claim, outcome), store, stop


def test_before_every_epoch_and_every_attack_it_looks_ahead(watch: Any) -> None:
    guard, store, stop = watch
    guard.before_epoch(7.0)
    guard.after_epoch(8)
    assert (store.work_folder(A, 0) / "progress.json").read_text() == '{"epoch": 8, "epochs": 10}'
    # An epoch is 256 images x 17 passes and 40 images x 123 passes; below, a pass takes a hundredth of a second.
    training_seconds = 10.0 * (256 * 17 + 40 * 123)
    guard.before_attack("pgd", training_seconds / 100, {"clean": 9.0, "fgsm": 9.0})
    assert stop.ahead == [7.0, pytest.approx(1.75 * 20 * 41 / 100)]
    # From the first longer attack on, the test's own pace counts.
    guard.before_attack("apgd-ce", training_seconds / 100, {"clean": 9.0, "fgsm": 9.0, "pgd": 0.01 * 20 * 41})
    assert stop.ahead[2] == pytest.approx(0.01 * 20 * 0.87 * 202)
    with pytest.raises(StoppedError, match="enough"):
        guard.before_epoch(1001.0)
    with pytest.raises(StoppedError, match="enough"):
        guard.before_attack("apgd-t", 1000 * training_seconds, {})


def test_the_first_epoch_of_a_training_is_taken_to_last_as_that_of_the_training_before(
    watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, store, stop = watch
    monkeypatch.setattr(worker, "_pace", {})
    clock = iter((10.0, 40.0, 50.0))
    monkeypatch.setattr(worker.time, "perf_counter", lambda: next(clock))
    guard.before_epoch(0.0)
    guard.after_epoch(0)
    assert worker._pace == {"c": pytest.approx(30.0 / store.space().macs(A))}
    guard.before_epoch(0.0)
    assert stop.ahead == [0.0, pytest.approx(30.0)]


def test_a_pass_of_the_test_is_as_slow_as_in_the_paper() -> None:
    published = from_published(NARES)
    assert published.test[0] / published.train[0] == pytest.approx(TEST_SLOWDOWN, rel=0.03)
    assert seconds_a_pass(LOAD, LOAD.train_passes, {}) == TEST_SLOWDOWN


def test_nothing_is_saved_once_another_has_the_training_or_its_entry(watch: Any) -> None:
    guard, store, _ = watch
    guard.before_saving()
    store.save(make_entry(A))
    with pytest.raises(LeaseLostError, match="another worker has stored its result"):
        guard.before_saving()
    store.entry_path(A, 0).unlink()
    guard.before_saving()
    store.claims.path(f"{A}-seed0").unlink()
    assert isinstance(store.claims.take(f"{A}-seed0", device="cpu", command="other"), Claim)
    with pytest.raises(LeaseLostError, match="taken over by"):
        guard.before_saving()


def test_a_signal_that_broke_an_import_is_no_failed_attempt(
    words: list[str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(self: Generator, *_: Any, **__: Any) -> None:
        try:
            raise TerminatedError
        finally:
            raise AttributeError("module 'sympy' has no attribute 'logic'")  # of what is half imported

    monkeypatch.setattr(Generator, "generate", generate)
    code, _, err = command(*words, "archs=1-1-1-2", "jobs=1")
    assert code == 143
    assert "sympy" not in err
    [store] = [word.partition("=")[2] for word in words if word.startswith("store=")]
    assert not EntryStore(store).failure(Architecture(1, 1, 1, 2), 0).attempts
