"""From an entry of a track to a submission."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import submit as front
from experiments.races.store import CPU, RunStore
from experiments.submissions.entry import ENTRY, RUNS, read_entry
from experiments.submissions.queries import COLUMNS
from nasbench_ar import ConfigError
from nasbench_ar.system.npz import read_npz
from tests.experiments.conftest import Command, raced
from tests.experiments.submissions.conftest import _examples, results  # noqa: F401


def test_what_is_written(command: Command, results: Path, tmp_path: Path) -> None:  # noqa: F811
    out, _ = command.passes(front.main, results, "tuned_on=none", "contact=me", f"out={tmp_path}")
    folder = tmp_path / "macs-7g/annealing"
    assert out.startswith(f"{folder}: entry.yaml runs.parquet, ")
    assert sorted(path.name for path in folder.iterdir()) == [ENTRY, RUNS]
    frame, store = pd.read_parquet(folder / RUNS), RunStore(results)
    runs = store.load(range(100), 200)
    assert list(frame) == list(COLUMNS)
    for name, array in (("arch_index", runs.arch_index), ("score", runs.scores), ("incumbent", runs.incumbent)):
        np.testing.assert_array_equal(frame[name], array.ravel())
    entry = read_entry(folder)
    assert entry.cpu_seconds == pytest.approx(store.cpu_seconds(range(100)).mean(), abs=1e-4)
    assert entry.computed_by == tuple(store.read_config()["computed_by"])
    assert entry.fingerprint == store.read_config()["fingerprint"]


def test_what_is_refused(command: Command, results: Path, tmp_path: Path) -> None:  # noqa: F811
    say = (f"out={tmp_path / 'out'}", "tuned_on=none")
    assert "expected one result folder, given were 0" in command.fails(front.main, *say)
    assert "is no entry of a track" in command.fails(front.main, results.parent, *say)
    assert "tuned_on= is missing" in command.fails(front.main, results)
    assert "expected one line" in command.fails(front.main, results, *say, "contact=a\nb")
    assert "there is no such track" in command.fails(front.main, tmp_path / "track-mine/asha", *say)

    copy = tmp_path / "track-macs-7g/annealing"
    shutil.copytree(results, copy)
    (copy / "runs/seed-000099.npz").unlink()
    assert "has 99 seeds; expected 100 to 1000" in command.fails(front.main, copy, *say)
    assert not list((tmp_path / "out/macs-7g/annealing").iterdir())
    path = copy / "runs/seed-000007.npz"
    np.savez(path, **{name: array for name, array in read_npz(path).items() if name != CPU})
    assert "1 of 99 runs do not say the processor time" in command.fails(front.main, copy, *say)
    moved = tmp_path / "track-macs-10g/annealing"
    shutil.copytree(results, moved)
    assert "not of track macs-10g (queries was 200, is 500; constraint was" in command.fails(front.main, moved, *say)


def test_searchers_of_the_toolkit_say_what_they_were_tuned_on(command: Command, tmp_path: Path) -> None:
    two = ("runs=2", f"out={tmp_path}")
    suite = ("nares-figures", "digits-729", "nasbench201-cifar10", "hpobench-car", "hpobench-phoneme")
    for name, tuned in (("bananas", suite), ("random_search", ()), ("gp", suite)):
        folder = raced("macs-7g", f"searcher={name}", *two) / name
        race = front.stored_race(folder)[0]
        assert front._tuned_on("", race) == tuned
        assert front._tuned_on("a, b", race) == ("a", "b")
        with pytest.raises(ConfigError, match=r"no table 'nares-figure'; did you mean nares-figures\?"):
            front._tuned_on("nares-figure", race)
    changed = raced("macs-7g", "searcher=bananas", "searcher.members=3", *two, entry="three") / "three"
    assert "tuned_on= is missing" in command.fails(front.main, changed)
