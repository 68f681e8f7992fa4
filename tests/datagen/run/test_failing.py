"""`datagen.run` where trainings fail, and where disks are full."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from datagen import run
from datagen.config import RunConfig
from datagen.store.folder import EntryStore
from datagen.training import pipeline
from datagen.workers import worker
from datagen.workers.worker import Outcome
from nasbench_ar import Architecture, TrainingError, WriteError
from tests.datagen.conftest import Command
from tests.datagen.run.conftest import SMALLEST, diverge, left_behind
from tests.datagen.synthetic_entries import SPACE


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


def failing(
    monkeypatch: pytest.MonkeyPatch, architecture: Architecture, error: Exception, where: str = "train"
) -> None:
    whole = getattr(pipeline, where)

    def broken(classifier: Any, *rest: Any, **more: Any) -> Any:
        if classifier.network.architecture == architecture:
            raise error
        return whole(classifier, *rest, **more)

    monkeypatch.setattr(pipeline, where, broken)


def test_no_room_for_the_network_is_a_failure_and_the_others_go_on(
    words: list[str], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, Architecture(1, 1, 1, 2), RuntimeError("CUDA error: out of memory\nand advice"))
    code, out, _ = command(*words, "archs=1-1-1-1,1-1-1-2")
    assert code == 1
    assert "1 of 2 trainings have an entry" in out
    assert "failed: 1-1-1-2: RuntimeError: CUDA error: out of memory" in out
    assert EntryStore(tmp_path / "store").failures()["1-1-1-2-seed0"].attempts == 1


def test_a_failure_is_recorded_and_the_others_go_on(
    words: list[str], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [*words, "archs=1-1-1-1,1-1-1-2,1-1-2-1"]
    with monkeypatch.context() as patch:
        failing(patch, Architecture(1, 1, 1, 2), TrainingError("diverged in epoch 1: loss or gradient is not finite"))
        code, out, err = command(*more)
    assert code == 1
    assert "1-1-1-2 (1 of 3): failed: diverged in epoch 1" in err
    assert "2 of 3 trainings have an entry" in out
    assert "failed: 1-1-1-2: diverged in epoch 1" in out
    store = EntryStore(tmp_path / "store")
    assert len(store.entries()) == 2
    failure = store.failures()["1-1-1-2-seed0"]
    assert (failure.attempts, failure.interruptions) == (1, 0)
    assert failure.last_error == "diverged in epoch 1: loss or gradient is not finite"
    assert failure.errors[0]["device"] == "cpu"
    assert command(*more)[0] == 0, "tried again"
    assert store.failures() == {}
    entry = next(entry for entry in store.entries() if entry.architecture == Architecture(1, 1, 1, 2))
    assert (entry.provenance["attempts"], entry.provenance["interruptions"]) == (2, 0)


def test_a_real_divergence_is_recorded(words: list[str], tmp_path: Path, command: Command) -> None:
    code, out, err = command(*words, "train.lr=1e30", "train.clip_norm=1e30", "train.epochs=3")
    assert code == 1, err
    assert "failed: 1-1-1-1: diverged in epoch" in out
    assert "Traceback" not in err
    assert not EntryStore(tmp_path / "store").entries()


@pytest.mark.parametrize("damage", ["truncated", "foreign"])
def test_a_bad_checkpoint_stops_its_architecture_only(
    words: list[str], tmp_path: Path, command: Command, damage: str
) -> None:
    store = EntryStore(tmp_path / "store")
    assert command(*words, "archs=2-2-2-2")[0] == 0
    last = store.work_folder(SMALLEST, 0) / "last.pt"
    last.parent.mkdir()
    whole = (store.work_folder(Architecture(2, 2, 2, 2), 0) / "best.pt").read_bytes()
    last.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else whole)
    message = "is no whole checkpoint" if damage == "truncated" else "architecture was '2-2-2-2', is '1-1-1-1'"
    content = last.read_bytes()
    code, out, err = command(*words, "archs=1-1-1-1,1-1-1-2")
    assert code == 1
    assert message in out
    assert "Traceback" not in err
    assert store.has(Architecture(1, 1, 1, 2), 0)
    assert last.read_bytes() == content, "nothing is lost"


def test_a_damaged_entry_is_reported_and_kept(words: list[str], tmp_path: Path, command: Command) -> None:
    command(*words)
    path = EntryStore(tmp_path / "store").entry_path(SMALLEST, 0)
    path.write_bytes(path.read_bytes()[:200])
    code, out, _ = command(*words)
    assert code == 1
    assert "is damaged: not valid JSON" in out
    assert len(path.read_bytes()) == 200


def test_a_loop_of_links_in_place_of_an_entry_fails_that_training_alone(
    words: list[str], command: Command, tmp_path: Path
) -> None:
    loop = tmp_path / "store/entries/1-1-1-2-seed0.json"
    assert command(*words)[0] == 0
    loop.symlink_to(loop.name)
    code, out, err = command(*words, "archs=1-1-1-1,1-1-1-2")
    assert code == 1
    assert f"failed: 1-1-1-2: cannot read {loop}: Too many levels of symbolic links" in out
    assert "1 of 2 trainings have an entry" in out
    assert "Traceback" not in err
    assert loop.is_symlink()


def outcome(kind: str, arch_id: int = 1, **more: Any) -> Outcome:
    return Outcome(kind, SPACE.from_arch_id(arch_id), 0, "title", **more)


def test_failures_in_a_row_are_counted_from_the_last_success() -> None:
    tally = run.Tally()
    for _ in range(2):
        for arch_id in range(1, run.FAILURES_IN_A_ROW):
            tally.add(outcome(worker.FAILED, arch_id, text="diverged"))
        tally.add(outcome(worker.DONE, 16, text="fine"))
    for arch_id in range(1, run.FAILURES_IN_A_ROW):
        tally.add(outcome(worker.FAILED, arch_id, text="diverged"))
    tally.add(outcome(worker.EXHAUSTED, 15, text="diverged", attempts=3))  # not tried, and no sign of a broken device
    tally.add(outcome(worker.THERE, 14))  # nor that of another worker one of a sound device
    with pytest.raises(TrainingError, match="10 trainings in a row failed, the last because: no memory"):
        tally.add(outcome(worker.FAILED, 13, text="no memory"))


def test_a_training_that_others_held_is_held_no_more_once_it_ended() -> None:
    tally = run.Tally()
    for kind in (worker.DONE, worker.THERE, worker.FAILED, worker.EXHAUSTED):
        tally.add(outcome(worker.HELD, text="another"))
        assert len(tally.held) == 1
        tally.add(outcome(kind, text="so"))
        assert not tally.held
    assert (len(tally.done), len(tally.failed)) == (1, 1)
    with pytest.raises(WriteError, match="disk is full"):
        tally.add(outcome(worker.UNWRITABLE, text="disk is full"))


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
