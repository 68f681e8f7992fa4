"""`datagen.run` where schedulers are in a hurry: hours=, signals."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from datagen.store.folder import EntryStore
from datagen.training import pipeline
from datagen.training import train as train_module
from datagen.training.finished_attacks import FinishedAttacks
from datagen.workers import worker
from nasbench_ar import Architecture
from tests.datagen.conftest import Command
from tests.datagen.run.conftest import before, left_behind


@pytest.mark.parametrize("how", ["hours", "signal"])
def test_a_training_ends_at_a_checkpoint_and_goes_on_later(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    more = ["archs=1-1-1-1,1-1-1-2", "train.epochs=3"]
    with monkeypatch.context() as patch:
        if how == "signal":
            before(patch, train_module, "validate", 1, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        else:
            before(patch, train_module, "validate", 1, lambda: time.sleep(1.5))
        code, out, err = command(*words, *more, *(["hours=0.0004"] if how == "hours" else []))
    assert code == 3, err
    assert "0 of 2 trainings have an entry" in out
    assert f"ended early: {'asked to end' if how == 'signal' else 'what comes next'}" in out
    assert train_module.load_checkpoint(store.work_folder(Architecture(1, 1, 1, 2), 0) / "last.pt")["epoch"] == 0
    assert not left_behind(store)
    code, _, err = command(*words, *more)
    assert code == 0, err
    assert "goes on after epoch 0" in err
    assert {entry.provenance["interruptions"] for entry in store.entries()} == {0}


def test_a_test_ends_between_attacks_and_goes_on_later(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    more = [*words, "attack.autoattack=compact"]
    with monkeypatch.context() as patch:
        before(patch, FinishedAttacks, "_write", 2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        code, out, err = command(*more)
    assert code == 3, err
    assert "ended early: asked to end" in out
    assert not left_behind(store)
    code, _, err = command(*more)
    assert code == 0, err
    kept = [line.split(": ")[2] for line in err.splitlines() if "finished before, in" in line]
    assert kept == ["clean", "fgsm"]
    assert command(*more, f"store={tmp_path / 'undisturbed'}")[0] == 0
    (found,), (whole,) = store.entries(), EntryStore(tmp_path / "undisturbed").entries()
    assert (found.test, found.details, found.sanity) == (whole.test, whole.details, whole.sanity)
    assert {name: mask.tolist() for name, mask in found.masks.items()} == {
        name: mask.tolist() for name, mask in whole.masks.items()
    }
    assert found.provenance["test_seconds"] > 0


def test_a_finished_training_does_not_begin_a_test_that_would_not_end_in_time(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        before(patch, pipeline, "assess", 1, interrupt)
        assert command(*words)[0] == 130
    monkeypatch.setattr(worker, "TEST_SLOWDOWN", 1e9)
    code, out, err = command(*words, "hours=1")
    assert code == 3
    assert "hours=1 is never enough: give more" in out
    assert "1-1-1-1 (1 of 1): what comes next takes" in err, (
        "of several trainings the last one's reason ends the command"
    )
    assert not store.entries()
    assert command(*words)[0] == 0


def test_termination_gives_the_claim_back(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = signal.getsignal(signal.SIGTERM)
    before(monkeypatch, train_module, "validate", 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    code, _, err = command(*words)
    assert code == 143
    assert err.splitlines()[-1] == "terminated; the same command goes on from the last finished epoch or attack"
    assert not left_behind(store)
    assert signal.getsignal(signal.SIGTERM) is old
