"""`datagen.run` where others work on the same store, disks are full, and schedulers are in a hurry."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datagen import run
from datagen.config import RunConfig
from datagen.store.claims import Claim, Claims
from datagen.store.entry import Entry
from datagen.store.folder import EntryStore
from datagen.training import pipeline
from datagen.training import train as train_module
from datagen.training.checkpoint import save_checkpoint
from nasbench_ar import TrainingError
from tests.datagen.conftest import Command
from tests.datagen.run.conftest import SMALLEST, before, diverge, left_behind

KEY = "1-1-1-1-seed0"


def steal(store: EntryStore) -> None:
    """Another worker, on another machine, takes over."""
    path = store.claims.path(KEY)
    content = {**json.loads(path.read_bytes()), "token": "theirs", "host": "elsewhere", "machine": "0" * 12}
    path.write_text(json.dumps(content))


def foreign_claim(store: EntryStore, config: RunConfig) -> None:
    pipeline.Generator.prepare(config).claim()
    found = store.claims.take(KEY, device="cuda:3", command="theirs")
    assert isinstance(found, Claim)
    steal(store)


# -- others at work ------------------------------------------------------------------


def test_a_training_of_others_is_left_to_them(
    words: list[str], config: RunConfig, store: EntryStore, command: Command
) -> None:
    assert command(*words, "archs=1-1-1-2")[0] == 0
    foreign_claim(store, config)
    code, out, err = command(*words, "archs=1-1-1-1,1-1-1-2,1-1-2-1", "wait=false")
    assert code == 3
    assert "1-1-1-1 (3 of 3): left to elsewhere, process" in err
    assert "on cuda:3" in err
    assert "2 of 3 trainings have an entry" in out
    assert "others are working on 1 of them" in out
    assert not store.work_folder(SMALLEST, 0).exists()


def test_a_command_waits_for_the_entries_of_others(
    words: list[str],
    config: RunConfig,
    store: EntryStore,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert command(*[*words[:-1], f"store={tmp_path / 'theirs'}"])[0] == 0
    theirs = EntryStore(tmp_path / "theirs").entry_path(SMALLEST, 0)
    foreign_claim(store, config)

    def finish() -> None:
        store.entry_path(SMALLEST, 0).parent.mkdir()
        store.entry_path(SMALLEST, 0).write_bytes(theirs.read_bytes())

    before(monkeypatch, run, "_wait", 1, finish)
    code, out, err = command(*words)
    assert code == 0, err
    assert "waiting for others, who are working on 1 of the trainings" in err
    assert "1 of 1 trainings have an entry" in out
    assert not store.work_folder(SMALLEST, 0).exists(), "nothing was done twice"


def test_a_vanished_worker_is_replaced(
    words: list[str], config: RunConfig, store: EntryStore, command: Command
) -> None:
    foreign_claim(store, config)
    code, _, err = command(*words, "lease=0.5")
    assert code == 0, err
    assert "1-1-1-1 (1 of 1): taken over from elsewhere, process" in err
    (entry,) = store.entries()
    assert (entry.provenance["attempts"], entry.provenance["interruptions"]) == (1, 1)
    assert not store.failures()
    assert not left_behind(store)


def test_what_failed_elsewhere_meanwhile_is_not_tried_here(
    words: list[str], config: RunConfig, store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign_claim(store, config)

    def fail() -> None:
        store.record_failure(store.failure(SMALLEST, 0).failed("diverged there", "cuda:3"))
        store.claims.path(KEY).unlink()

    before(monkeypatch, run, "_wait", 1, fail)
    code, out, err = command(*words)
    assert code == 1, err
    assert "failed: 1-1-1-1: diverged there" in out
    assert store.failure(SMALLEST, 0).attempts == 1


# -- the one believed dead -----------------------------------------------------------


def test_a_worker_that_lost_its_lease_writes_no_further_checkpoint(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(monkeypatch, train_module, "validate", 2, lambda: steal(store))
    code, out, err = command(*words, "wait=false")
    assert code == 3, err
    assert "taken over by elsewhere, process" in err
    assert "it is left to the other worker" in err
    assert "0 of 1 trainings have an entry" in out
    assert train_module.load_checkpoint(store.work_folder(SMALLEST, 0) / "last.pt")["epoch"] == 0
    assert store.claims.path(KEY).exists(), "the other's claim stays"


def test_and_goes_on_when_the_other_vanishes_in_turn(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "train", diverge)
        assert command(*words)[0] == 1
    before(monkeypatch, train_module, "validate", 2, lambda: steal(store))
    code, _, err = command(*words, "lease=0.5")
    assert code == 0, err
    assert "goes on after epoch 0" in err
    (entry,) = store.entries()
    assert (entry.provenance["attempts"], entry.provenance["interruptions"]) == (2, 1)


@pytest.fixture
def theirs(config: RunConfig, tmp_path: Path) -> Entry:
    """What another worker found, told apart by its host."""
    generator = pipeline.Generator.prepare(replace(config, store=str(tmp_path / "theirs")))
    entry = generator.generate(SMALLEST, 0, say=lambda text: None)
    return replace(entry, provenance={**entry.provenance, "host": "elsewhere"})


def test_of_two_results_the_first_is_kept(
    words: list[str], theirs: Entry, store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(monkeypatch, pipeline, "describe_hardware", 1, lambda: store.save(theirs))  # as the entry is made
    code, out, err = command(*words)
    assert code == 0, err
    assert "another worker's result is there already; it is kept, this one is dropped" in err
    assert "1 of 1 trainings have an entry" in out
    (entry,) = store.entries()
    assert entry.provenance["host"] == "elsewhere"
    assert not left_behind(store)


def test_a_result_that_came_meanwhile_ends_a_training(
    words: list[str], theirs: Entry, store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(monkeypatch, train_module, "validate", 2, lambda: store.save(theirs))
    code, _, err = command(*words)
    assert code == 0, err
    assert "another worker has stored its result; it is left to the other worker" in err
    assert not (store.work_folder(SMALLEST, 0) / "epoch-001.pt").exists()


def test_an_entry_that_came_just_before_the_claim_is_kept(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(*words)[0] == 0
    path = store.entry_path(SMALLEST, 0)
    whole = path.read_bytes()
    path.unlink()
    before(monkeypatch, Claims, "take", 1, lambda: path.write_bytes(whole))
    code, _, err = command(*words)
    assert (code, "begins" in err) == (0, False)
    assert path.read_bytes() == whole


def test_unfinished_files_of_earlier_workers_are_cleared_away(
    words: list[str], store: EntryStore, command: Command
) -> None:
    left = store.work_folder(SMALLEST, 0) / ".last.pt.0123456789ab-1-0123456789ab.partial"  # of another machine
    pipeline.Generator.prepare(run.parse_command_line(words)).claim()
    left.parent.mkdir(parents=True)
    left.touch()
    assert command(*words)[0] == 0
    assert not left.exists()


def test_a_failure_after_the_training_was_lost_is_not_recorded(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*rest: Any, **more: Any) -> None:
        steal(store)
        raise TrainingError("diverged")

    monkeypatch.setattr(pipeline, "assess", diverge)
    code, out, err = command(*words, "wait=false")
    assert code == 3
    assert "others are working on 1 of them" in out
    assert "taken over by elsewhere" in err
    assert not store.failures()


@pytest.mark.parametrize("name", ["best.pt", "epoch-001.pt"])
def test_checkpoints_of_another_course_are_never_tested(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    def mix() -> None:
        """As another worker on a GPU would leave it: the same epoch, numbers that differ in the last digits."""
        path = store.work_folder(SMALLEST, 0) / name
        state = train_module.load_checkpoint(path)
        state["history"]["train_loss"][0] += 1e-9
        save_checkpoint(path, state)

    before(monkeypatch, pipeline, "load_best", 1, mix)
    code, _, err = command(*words)
    assert code == 0, err
    assert f"{name} is of another course of this training; all its checkpoints are removed, and it is trained" in err
    monkeypatch.undo()
    assert command(*[*words[:-1], f"store={tmp_path / 'second'}"])[0] == 0
    (first,), (second,) = store.entries(), EntryStore(tmp_path / "second").entries()
    assert (first.curves, first.test) == (second.curves, second.test)


def test_mixed_twice_is_a_failure(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed(*rest: Any) -> None:
        raise train_module.MixedCheckpointsError("best.pt is of another course of this training")

    monkeypatch.setattr(pipeline, "load_best", mixed)
    code, out, _ = command(*words)
    assert code == 1
    assert "failed: 1-1-1-1: best.pt is of another course" in out
    assert not list(store.work_folder(SMALLEST, 0).glob("*.pt")), "the next attempt begins anew"


# -- several trainings ----------------------------------------------------------------


def test_the_longest_comes_first_and_seeds_are_several(words: list[str], store: EntryStore, command: Command) -> None:
    code, out, err = command(*words, "archs=1-1-1-1,2-1-2-1", "seeds=0,2-3", "train.epochs=1")
    assert code == 0, err
    begun = [line.split(": ")[1] for line in err.splitlines() if line.endswith(": begins")]
    assert begun == [
        *(f"2-1-2-1 seed {seed} ({number} of 6)" for number, seed in enumerate((0, 2, 3), 1)),
        *(f"1-1-1-1 seed {seed} ({number} of 6)" for number, seed in enumerate((0, 2, 3), 4)),
    ]
    assert "6 of 6 trainings have an entry" in out
    entries = store.entries()
    assert [entry.seed for entry in entries] == [0, 2, 3] * 2
    assert [entry.provenance["config"]["seed"] for entry in entries] == [0, 2, 3] * 2
    assert command(*words, "seed=3", "train.epochs=1")[1].startswith(f"{store.folder}: 1 of 1"), "the same training"


def test_two_processes(words: list[str], store: EntryStore, command: Command) -> None:
    code, out, err = command(*words, "archs=1-3", "jobs=2")
    assert code == 0, err
    assert "3 of 3 trainings have an entry" in out
    assert not left_behind(store)
