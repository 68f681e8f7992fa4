"""`datagen.run` where others work on the same store, disks are full, and schedulers are in a hurry."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from datagen.training.finished_attacks import FinishedAttacks
from datagen.workers import worker
from nasbench_ar import Architecture, ResultsError, TrainingError
from tests.datagen.conftest import Command, stripes, write_arrays
from tests.datagen.synthetic_entries import DATASET, PROTOCOL, make_entry

SMALLEST = Architecture(1, 1, 1, 1)
KEY = "1-1-1-1-seed0"


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    sizes = {"train": 32, "val": 8, "test": 8}
    splits = {purpose: stripes(n, seed) for seed, (purpose, n) in enumerate(sizes.items())}
    images = {f"{purpose}_images": split[0] for purpose, split in splits.items()}
    return write_arrays(tmp_path / "stripes.npz", **images, **{f"{p}_labels": split[1] for p, split in splits.items()})


@pytest.fixture
def store(tmp_path: Path) -> EntryStore:
    return EntryStore(tmp_path / "store")


def before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, act: Callable[[], object]) -> None:
    """Let something happen just before the given call of a function."""
    whole, calls = getattr(owner, name), iter(range(1, 1000))

    def acting(*arguments: Any, **more: Any) -> Any:
        if next(calls) == call:
            act()
        return whole(*arguments, **more)

    monkeypatch.setattr(owner, name, acting)


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


def left_behind(store: EntryStore) -> list[str]:
    kept = ("manifest.json", "entries", "work", "failures", "asked")
    return [str(p) for p in store.folder.rglob("*") if p.is_file() and p.relative_to(store.folder).parts[0] not in kept]


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


# -- failing ------------------------------------------------------------------------


def diverge(*rest: Any, **more: Any) -> Any:
    raise TrainingError("diverged")


def test_attempts_are_counted_over_commands(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "train", diverge)
        for attempt in (1, 2):
            assert command(*words, "attempts=2")[0] == 1
            assert store.failure(SMALLEST, 0).attempts == attempt
        code, out, _ = command(*words, "attempts=2")
        assert code == 1
        assert "failed: 1-1-1-1: diverged (failed 2 times; attempts= or retry=true tries again)" in out
        assert store.failure(SMALLEST, 0).attempts == 2, "not tried"
        assert command(*words, "attempts=2", "retry=true")[0] == 1
        assert store.failure(SMALLEST, 0).attempts == 3
    assert command(*words, "attempts=4")[0] == 0
    (entry,) = store.entries()
    assert entry.provenance["attempts"] == 4
    assert not list((store.folder / "failures").iterdir())


def test_a_broken_device_does_not_use_up_all_attempts(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "train", diverge)
    monkeypatch.setattr(run, "FAILURES_IN_A_ROW", 3)
    code, _, err = command(*words, "archs=all")
    assert code == 2
    assert err.splitlines()[-1].startswith("error: 3 trainings in a row failed, the last because: diverged; look at")
    assert len(store.failures()) == 3
    assert not left_behind(store)


def test_interruptions_do_not_count_to_the_limit(
    words: list[str], config: RunConfig, store: EntryStore, command: Command
) -> None:
    pipeline.Generator.prepare(config).claim()
    failure = store.failure(SMALLEST, 0)
    for _ in range(5):
        failure = failure.interrupted()
    store.record_failure(failure)
    assert command(*words, "attempts=1")[0] == 0
    (entry,) = store.entries()
    assert (entry.provenance["attempts"], entry.provenance["interruptions"]) == (1, 5)


def test_a_damaged_failure_is_reported_and_kept(words: list[str], store: EntryStore, command: Command) -> None:
    assert command(*words, "archs=1-1-1-2")[0] == 0
    path = store.failure_path(SMALLEST, 0)
    path.parent.mkdir()
    path.write_text("half of a fi")
    code, out, _ = command(*words)
    assert code == 1
    assert "is damaged: not valid JSON" in out
    assert path.read_text() == "half of a fi"
    assert not left_behind(store)


def test_what_nobody_expects_is_recorded_and_ends_the_command(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*rest: Any, **more: Any) -> Any:
        raise RuntimeError("CUDA error: uncorrectable ECC error\nand advice")

    monkeypatch.setattr(pipeline, "train", broken)
    with pytest.raises(RuntimeError, match="uncorrectable ECC"):
        command(*words)
    assert store.failure(SMALLEST, 0).last_error == "RuntimeError: CUDA error: uncorrectable ECC error"
    assert not left_behind(store)


# -- full disks ----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["claims", "last.pt", "best.pt", "entries", "manifest.json"])
def test_a_full_disk_is_one_line_and_loses_nothing(
    words: list[str], store: EntryStore, command: Command, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole = Path.open

    def full(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if mode == "wb" and where in str(path.relative_to(store.folder)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, mode, *rest, **more)

    assert command(*words, "archs=1-1-1-2")[0] == 0
    if where == "manifest.json":
        (store.folder / where).rename(store.folder.with_name(where))
        for path in sorted(store.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        code, _, err = command(*words, "archs=1-1-1-1,1-1-1-2")
    assert code == 2
    errors = [line for line in err.splitlines() if not line.startswith("datagen: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert "No space left on device" in errors[0]
    assert "Traceback" not in err
    assert not store.failures(), "it is not the training's fault"
    assert not left_behind(store)
    assert command(*words, "archs=1-1-1-1,1-1-1-2")[0] == 0
    assert len(store.entries()) == 2


# -- schedulers ----------------------------------------------------------------------


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


# -- the manifest ---------------------------------------------------------------------


def test_commands_that_begin_together_agree_on_the_manifest(tmp_path: Path) -> None:
    def claim(number: int) -> str:
        protocol = {**PROTOCOL, "train": {**PROTOCOL["train"], "lr": 0.1 + number % 2}}
        try:
            EntryStore(tmp_path / "store").claim("toy", protocol, DATASET)
        except ResultsError as error:
            return str(error)
        return ""

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(claim, range(8)))
        assert [bool(text) for text in said] in ([False, True] * 4, [True, False] * 4)
        assert all("protocol.train.lr was" in text for text in said if text)
        assert [p.name for p in (tmp_path / "store").iterdir()] == ["manifest.json"]
        (tmp_path / "store/manifest.json").unlink()


def test_an_entry_is_never_replaced(tmp_path: Path) -> None:
    store = EntryStore(tmp_path / "store")
    store.claim("toy", PROTOCOL, DATASET)
    assert store.save(make_entry(SMALLEST))
    first = store.entry_path(SMALLEST, 0).read_bytes()
    assert not store.save(make_entry(SMALLEST, device="cpu"))
    assert store.entry_path(SMALLEST, 0).read_bytes() == first
