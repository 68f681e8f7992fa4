"""What a worker asks and tells while it trains; its outcomes are in `test_run` and `test_sharing_a_store`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from datagen.config import RunConfig
from datagen.store.claims import Claim, LeaseLostError
from datagen.store.folder import EntryStore
from datagen.training.train import Watch
from datagen.workers import worker
from datagen.workers.stopping import Stop, StoppedError
from datagen.workers.worker import TEST_SHARE, Order, Outcome
from nasbench_ar import Architecture
from tests.datagen.synthetic_entries import make_entry, make_store

A = Architecture(1, 1, 2, 2)
EPOCHS = 10


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
    stop = Asked(None, tmp_path / "marker")
    object.__setattr__(stop, "ahead", [])
    config = RunConfig()
    config.train.epochs = EPOCHS

    class Generator:
        pass

    generator: Any = Generator()
    generator.store = store
    outcome = functools.partial(Outcome, architecture=A, seed=0, title="t")
    return worker._watch(Order(config, "c", stop), generator, claim, outcome), store, stop


def test_an_epoch_is_followed_by_one_as_long_and_the_last_by_the_test(watch: Any) -> None:
    guard, store, stop = watch
    guard.after_epoch(0, 7.0)
    guard.after_epoch(8, 9.0)
    assert (store.work_folder(A, 0) / "progress.json").read_text() == '{"epoch": 8, "epochs": 10}'
    guard.after_epoch(9, 8.0)
    assert stop.ahead == [7.0, 9.0, 0.25 * EPOCHS * 8.0]
    assert TEST_SHARE == 0.25
    with pytest.raises(StoppedError, match="enough"):
        guard.after_epoch(3, 1001.0)


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
