"""Results on disk: atomic, resumable, never mixed."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.races import folder_lock
from experiments.races import store as store_module
from experiments.races.fingerprint import mark_of
from experiments.races.store import CPU, RunStore
from nasbench_ar import ResultsError
from nasbench_ar.system import files
from nasbench_ar.system.npz import read_npz
from searchers.trajectory import Trajectory

CONFIG: dict[str, Any] = {"name": "x", "fingerprint": {"queries": 5, "searcher": {"_target_": "a.B"}}}
OTHER: dict[str, Any] = {"name": "x", "fingerprint": {"queries": 7, "searcher": {"_target_": "a.B"}}}


def run(seed: int, length: int = 3) -> Trajectory:
    return Trajectory(
        seed=seed,
        arch_index=np.arange(length, dtype=np.int32) + seed,
        scores=np.arange(length, dtype=np.float32),
        incumbent=np.arange(length, dtype=np.int32) + seed,
        repeats=seed,
        ended="" if length == 3 else "early",
    )


def prepared(folder: Path) -> RunStore:
    store = RunStore(folder)
    with store.claim(CONFIG):
        store.begin(CONFIG, {"git_commit": "abc"})
    return store


def test_round_trip_with_runs_of_unequal_length(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    for one in (run(12), run(3, length=1)):
        store.save(one)
    assert store.finished() == [3, 12]
    runs = store.load([12, 3], 4)
    np.testing.assert_array_equal(runs.seeds, [3, 12])
    np.testing.assert_array_equal(runs.arch_index, [[3, -1, -1, -1], [12, 13, 14, -1]])
    np.testing.assert_array_equal(runs.scores, [[0, np.nan, np.nan, np.nan], [0, 1, 2, np.nan]])
    np.testing.assert_array_equal(runs.reported, [3, 14])
    np.testing.assert_array_equal(runs.repeats, [3, 12])
    assert runs.ended == ("early", "")
    assert (runs.arch_index.dtype, runs.scores.dtype) == (np.int32, np.float32)


def test_processor_time_is_stored_where_it_was_measured(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.save(run(0), 1.5)
    store.save(run(1))
    store.save(run(2), 2.5)
    np.testing.assert_array_equal(store.cpu_seconds([2, 0, 1]), [1.5, np.nan, 2.5])
    path = tmp_path / "runs/seed-000002.npz"
    arrays = {name: array for name, array in read_npz(path).items() if name != CPU}
    np.savez(path, **arrays)  # as it was stored before times were
    np.testing.assert_array_equal(store.cpu_seconds([0, 2]), [1.5, np.nan])
    assert store.load([2], 3).repeats == [2]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ResultsError, match=r"seed-000002.npz is damaged"):
        store.cpu_seconds([2])


def test_same_configuration_goes_on(tmp_path: Path) -> None:
    prepared(tmp_path).save(run(0))
    assert prepared(tmp_path).finished() == [0]


def test_config_tells_every_code_that_computed_runs(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    for commit in ("abc", "def", "abc"):
        store.begin(CONFIG, {"git_commit": commit})
    assert store.read_config() == CONFIG | {"computed_by": [{"git_commit": "abc"}, {"git_commit": "def"}]}


def test_another_configuration_is_refused_with_the_differences(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    with pytest.raises(ResultsError, match=r"queries was 5, is 7.*overwrite=true"):
        store.claim(OTHER)
    assert store.finished() == [0]
    (tmp_path / "summary.md").write_text("old")
    with store.claim(OTHER, overwrite=True):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "runs"], (
            "old reports go with their runs"
        )
    assert store.read_config() == OTHER | {"computed_by": []}


def test_what_killed_commands_left_of_old_results_goes_too(tmp_path: Path) -> None:
    store = prepared(tmp_path / "asha")
    store.save(run(0))
    (tmp_path / ".asha.0123456789ab.replaced/runs").mkdir(parents=True)
    store.claim(OTHER, overwrite=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ["asha"]


def test_a_run_of_another_seed_is_not_read(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    (tmp_path / "runs/seed-000003.npz").write_bytes((tmp_path / "runs/seed-000000.npz").read_bytes())
    with pytest.raises(ResultsError, match=r"seed-000003\.npz holds the run of another seed; remove it"):
        store.load([0, 3], 5)


def test_old_results_that_cannot_be_removed_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = prepared(tmp_path / "x")
    store.save(run(0))

    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ResultsError, match="cannot remove the old results in .*Permission denied"):
        store.claim(OTHER, overwrite=True)
    assert store.finished() == [0]
    assert store.read_config()["fingerprint"] == CONFIG["fingerprint"]


def test_a_configuration_without_a_finished_run_may_change(tmp_path: Path) -> None:
    store = prepared(tmp_path / "x")
    store.claim(OTHER).close()
    assert store.read_config()["fingerprint"]["queries"] == 7


def test_a_folder_at_work_is_of_one_configuration(tmp_path: Path) -> None:
    first, same, other = (RunStore(tmp_path / "x") for _ in range(3))
    with first.claim(CONFIG):
        with same.claim(CONFIG):
            pass
        for overwrite in (False, True):
            with pytest.raises(ResultsError, match=r"a command at work in .*queries was 5, is 7\); use another name="):
                other.claim(OTHER, overwrite=overwrite)
        first.save(run(0))
    with pytest.raises(ResultsError, match="overwrite=true to remove them"):
        other.claim(OTHER)


def test_of_two_claimants_one_wins_even_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one writes its configuration after this one has seen that there is none."""
    monkeypatch.setattr(folder_lock, "fcntl", None)
    write_first = store_module.write_first

    def late(path: Path, content: bytes) -> bool:
        monkeypatch.setattr(store_module, "write_first", write_first)
        winner = RunStore(tmp_path)
        winner.claim(OTHER)
        winner.save(run(0))
        return write_first(path, content)

    monkeypatch.setattr(store_module, "write_first", late)
    with pytest.raises(ResultsError, match="queries was 7, is 5"):
        RunStore(tmp_path).claim(CONFIG)
    assert RunStore(tmp_path).load([0], 3).seeds.tolist() == [0]


def test_a_folder_that_was_replaced_before_it_was_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two locks another command takes over, so that the lock is on a folder that is gone."""
    share = folder_lock.FolderLock.share

    def late(lock: Any) -> None:
        monkeypatch.setattr(folder_lock.FolderLock, "share", share)
        folder_lock.fcntl.flock(lock._handle, folder_lock.fcntl.LOCK_UN)
        RunStore(tmp_path / "x").claim(OTHER).close()
        RunStore(tmp_path / "x").claim(CONFIG).close()
        share(lock)

    monkeypatch.setattr(folder_lock.FolderLock, "share", late)
    with RunStore(tmp_path / "x").claim(CONFIG), pytest.raises(ResultsError, match="at work"):
        RunStore(tmp_path / "x").claim(OTHER)


def test_claiming_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_lock.FolderLock, "is_of", lambda *_: False)
    with pytest.raises(ResultsError, match=r"other commands replace .* again and again; use another name= or out="):
        RunStore(tmp_path).claim(CONFIG)


def test_a_killed_claimant_does_not_keep_the_folder(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from experiments.races.store import RunStore; "
        f"held = RunStore(sys.argv[1]).claim({CONFIG!r}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert RunStore(tmp_path).read_config()["fingerprint"] == CONFIG["fingerprint"]
    with RunStore(tmp_path).claim(OTHER):
        assert RunStore(tmp_path).read_config()["fingerprint"] == OTHER["fingerprint"]


def test_runs_are_stored_under_their_own_configuration_only(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    (tmp_path / "config.yaml").write_text("fingerprint: {queries: 7}")  # by a command that has taken over
    with pytest.raises(ResultsError, match="has become another configuration's while this one was at work"):
        store.save(run(1))
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(ResultsError, match=r"there is no config\.yaml"):
        store.save(run(1))
    assert store.stored() == [0]


def test_a_run_of_another_configuration_is_not_read(tmp_path: Path) -> None:
    store, other = prepared(tmp_path / "x"), RunStore(tmp_path / "y")
    store.save(run(0))
    with other.claim(OTHER):
        other.save(run(1))
    (tmp_path / "y/runs/seed-000001.npz").rename(tmp_path / "x/runs/seed-000001.npz")
    with pytest.raises(ResultsError, match=r"seed-000001\.npz was computed under another configuration .*remove it"):
        store.load([0, 1], 3)


def test_equal_fingerprints_have_equal_digests() -> None:
    def mark(value: Any) -> str:
        return mark_of({"a": {"b": value}, "c": [value]})

    assert mark(1) == mark(1.0)
    assert mark_of({"a": 1, "b": 2}) == mark_of({"b": 2, "a": 1})
    different = [1, 2, -1, 0.5, math.inf, "1", None, [1], {"1": 1}, 2**70, 16**5000]
    assert len({mark(value) for value in different}) == len(different)


def test_a_configuration_has_no_aliases(tmp_path: Path) -> None:
    sizes = [1, 2]
    config = {"searcher": {"sizes": sizes}, "fingerprint": {"searcher": {"sizes": sizes}}}
    RunStore(tmp_path).claim(config).close()
    assert "&" not in (tmp_path / "config.yaml").read_text()
    assert RunStore(tmp_path).read_config()["fingerprint"] == {"searcher": {"sizes": [1, 2]}}
    lines = ["x0: &x0 [1, 1]", *(f"x{k}: &x{k} [{', '.join([f'*x{k - 1}'] * 9)}]" for k in range(1, 30))]
    (tmp_path / "config.yaml").write_text("\n".join([*lines, "fingerprint: {a: *x29}"]))
    with pytest.raises(
        ResultsError, match=r"cannot read .*config\.yaml: it has an alias, \*x0, which no command writes"
    ):
        RunStore(tmp_path).read_config()
    (tmp_path / "config.yaml").write_text(f"fingerprint: &{'x' * 5000} {{a: *{'x' * 5000}}}")
    with pytest.raises(ResultsError) as caught:
        RunStore(tmp_path).claim(CONFIG)
    assert len(str(caught.value)) < 500


def test_only_arguments_that_differ_are_named(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    with pytest.raises(ResultsError, match=r"configuration \(searcher\._target_ was 'a\.B', is 'a\.C'\)"):
        store.claim({"fingerprint": {"queries": 5, "searcher": {"_target_": "a.C"}}})


def test_stale_temporary_files_are_removed(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    for name, age in ((".config.yaml.a.partial", 90_000), ("runs/.seed-000001.npz.a.partial", 90_000)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    living = files.partial_path(tmp_path / "runs/seed-000002.npz")
    living.write_bytes(b"half")
    store.begin(CONFIG, None)
    assert sorted(tmp_path.rglob("*.partial")) == [living]


def test_runs_without_a_config_are_refused(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(ResultsError, match="holds runs without a config"):
        prepared(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1",
        "- list",
        "\x00",
        "{}",
        "fingerprint: 3",
        "fingerprint: {}\ncomputed_by: 5",
        "when: 2001-99-99",  # the next ones raise what is no error of yaml's own
        "a: !!bool x",
        "a: !!int ''",
        "a: 0x",
        "a: " + "9" * 5000,
        "a: " + "[" * 2000,
    ],
)
def test_damaged_config(tmp_path: Path, content: str) -> None:
    prepared(tmp_path)
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ResultsError, match=r"config\.yaml"):
        RunStore(tmp_path).read_config()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch_index": np.arange(3)}, r"arch_index is int64 \(3,\); expected int32"),
        ({"arch_index": np.int32(0)}, r"arch_index is int32 \(\)"),
        ({"arch_index": np.array([0, 1, 1], dtype=np.int32)}, "arch_index repeats itself"),
        ({"arch_index": np.array([0, 1, -1], dtype=np.int32)}, "or is negative"),
        ({"scores": np.zeros(2, dtype=np.float32)}, r"scores is float32 \(2,\)"),
        ({"scores": np.array([0, np.nan, 2], dtype=np.float32)}, "a score is not finite"),
        ({"arch_index": np.empty(0, dtype=np.int32), "scores": np.empty(0, dtype=np.float32)}, r"int32 \(0,\)"),
        ({"repeats": np.int64(-1)}, "repeats is no number of at least 0"),
        ({"repeats": np.zeros(1, dtype=np.int64)}, "repeats is no number"),
        ({"incumbent": np.zeros(2, dtype=np.int32)}, "incumbent is int32 .2,.; expected int32, a value for each step"),
        ({"repeats": np.float64(0)}, "repeats is no number"),
        ({"ended": np.str_("two\nlines")}, "ended is no line of text"),
        ({"ended": np.int64(5)}, "ended is no line of text"),
        ({"fingerprint": np.int64(5)}, "fingerprint is no line of text"),
        ({"incumbent": np.array([3, 4, 7], dtype=np.int32)}, "an incumbent was not queried by then"),
        ({"incumbent": np.array([4, 4, 4], dtype=np.int32)}, "an incumbent was not queried by then"),
    ],
)
def test_runs_that_cannot_be(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    path = tmp_path / "runs/seed-000000.npz"
    with np.load(path) as pack:
        arrays = dict(pack)
    for absent in (None, *change):
        np.savez(path, **{name: array for name, array in (arrays | change).items() if name != absent})
        with pytest.raises(ResultsError, match=message if absent is None else "is damaged"):
            store.load([0], 3)


def test_compressed_runs_are_refused(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    np.savez_compressed(tmp_path / "runs/seed-000000.npz", scores=np.zeros(10**6, dtype=np.float32))
    assert store.finished() == [0]
    with pytest.raises(ResultsError, match=r"seed-000000\.npz is damaged \('scores\.npy' is compressed\)"):
        store.load([0], 3)


def test_differences_are_told_in_one_line(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    with pytest.raises(ResultsError, match="and 12 more") as caught:
        store.claim({"fingerprint": {f"key\n{k}": "x" * 1000 for k in range(18)}})
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 2000
    with pytest.raises(ResultsError, match=r"key7 was None, is 5\); use another") as caught:
        store.claim({"fingerprint": CONFIG["fingerprint"] | {f"key{k}": 5 for k in range(8)}})
    assert str(caught.value).count(" was None, is 5") == 8


def test_no_results_there(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no results"):
        RunStore(tmp_path / "nothing").read_config()


def test_half_a_file_does_not_count_as_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = prepared(tmp_path)
    store.save(run(0))
    store.save(run(1))
    path = tmp_path / "runs/seed-000001.npz"
    path.write_bytes(path.read_bytes()[:100])
    (tmp_path / "runs/.seed-000002.npz.abc.partial").write_bytes(b"half")
    (tmp_path / "runs/seed-000003 (copy).npz").write_bytes(b"half")
    assert store.finished() == [0]
    assert store.stored() == [0, 1]
    capsys.readouterr()
    assert store.missing(range(3)) == [1, 2]
    said = capsys.readouterr().err
    assert f"1 runs are stored in {tmp_path} already, 1 of those asked for" in said
    assert said.splitlines()[1:] == [f"nasbench-ar: {path} is not whole; this run is carried out again"]
    with pytest.raises(ResultsError, match="damaged"):
        store.load([1], 3)


def test_full_disk_leaves_finished_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = prepared(tmp_path)
    store.save(run(0))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "write_atomically", full)
    with pytest.raises(ResultsError, match="No space left on device; finished runs are kept"):
        store.save(run(1))
    assert store.finished() == [0]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["seed-000000.npz"]


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write results"):
        prepared(tmp_path / "file" / "below")
