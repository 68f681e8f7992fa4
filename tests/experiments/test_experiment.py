"""`experiments.race`: the command line's races from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import experiments
from experiments import run
from nasbench_ar import ConfigError, Oracle, Table
from searchers import LocalSearch, RandomSearch
from tests.experiments.conftest import Command
from tests.experiments.races.test_killed import content

SCRIPT = """
import sys
import experiments
from searchers import Searcher

FEW = {few}


def choose(searcher):
    return searcher.sample_unseen() if len(searcher.history) < FEW else searcher.random_neighbour(searcher.best()[0])


class Mine(Searcher):
    def _ask(self):
        return choose(self) if {{"a", "b", "c"}} else None


if __name__ == "__main__":
    finished = experiments.race(Mine, runs={runs}, queries=20, table=sys.argv[1], out=sys.argv[2], jobs=2)
    print(finished.name, len(finished.runs.seeds), finished.runs.reported.tolist())
"""


def test_the_same_as_the_command(table: Table, tmp_path: Path, command: Command) -> None:
    words = ["runs=3", "queries=20", "jobs=1", "searcher=local_search", "searcher.starts=4", f"table={table.folder}"]
    command.passes(run.main, *words, f"out={tmp_path / 'shell'}")
    settings = {"runs": 3, "queries": 20, "jobs": 1, "out": str(tmp_path / "python"), "table": Oracle(table)}
    finished = experiments.race("local_search", arguments={"starts": 4}, **settings)
    files = [path.relative_to(tmp_path / "shell") for path in (tmp_path / "shell").rglob("*") if path.is_file()]
    assert len(files) == 10
    for path in files:
        read = content if path.match("seed-*.npz") else Path.read_bytes
        assert read(tmp_path / "shell" / path) == read(tmp_path / "python" / path), path
    stored = pd.read_csv(finished.folder / "summary.csv", index_col="metric")
    pd.testing.assert_frame_equal(finished.summary, stored)
    mean = finished.summary.loc["val_pgd_acc", "mean"]
    assert mean == pytest.approx(finished.curve.best[:, -1].mean())
    again = experiments.race(LocalSearch, arguments={"starts": 4}, name="local_search", **settings)
    assert np.array_equal(again.runs.scores, finished.runs.scores)


def test_pictures(table: Table, tmp_path: Path) -> None:
    finished = experiments.race(RandomSearch, runs=2, queries=5, table=table.folder, out=str(tmp_path), jobs=1)
    axes = finished.plot()
    assert finished.plot(axes) is axes
    assert axes.get_lines()[0].get_ydata().tolist() == finished.curve.best.mean(axis=0).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("searcher", "settings", "said"),
    [
        ("grid", {}, "unknown searcher 'grid'; known: random_search"),
        ("no.such.Searcher", {}, "there is no module 'no'"),
        (int, {}, "has no subclass of searchers.Searcher"),
        ("random_search", {"rums": 3}, "unknown key 'rums'; did you mean runs"),
        ("random_search", {"runs": "3"}, "runs='3': expected a whole number"),
        ("random_search", {"runs": True}, "runs=True: expected a whole number"),
        ("random_search", {"runs": 0}, "runs=0: expected an integer of at least 1"),
        ("random_search", {"constraint": 5}, "constraint=5: expected text or null"),
        ("random_search", {"arguments": {"speed": 3}, "queries": 5}, "cannot be built with"),
        (5, {}, "searcher=5: expected a name or a class"),
        ("random_search", {"objective": "val_pgd_acc,macs"}, "several objectives are for python -m experiments.run"),
    ],
)
def test_what_cannot_be(searcher: object, settings: dict[str, object], said: str, table: Table, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=said) as error:
        experiments.race(searcher, table=table.folder, out=str(tmp_path), **settings)  # type: ignore[arg-type]
    assert type(error.value).__module__ == "nasbench_ar.errors"


def test_a_class_inside_a_function(table: Table) -> None:
    class Inside(RandomSearch):
        pass

    with pytest.raises(ConfigError, match="defined inside a function; workers need a class outside of it"):
        experiments.race(Inside, table=table.folder)


def test_a_searcher_of_a_script(table: Table, tmp_path: Path) -> None:
    """Its runs are resumed when other lines of the script change, and refused when what it depends on does."""

    def start(**values: int) -> subprocess.CompletedProcess[str]:
        (tmp_path / "mine.py").write_text(SCRIPT.format(**values))
        call = [sys.executable, "mine.py", str(table.folder), "results"]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    first = start(few=5, runs=4)
    assert first.stdout.startswith("Mine 4 ["), first.stderr
    second = start(few=5, runs=6)
    assert second.stdout.startswith("Mine 6 ["), second.stderr
    assert "4 runs are stored" in second.stderr
    third = start(few=6, runs=6)
    assert "holds results of another configuration (source was" in third.stderr


def test_what_the_package_shows() -> None:
    assert experiments.__all__ == ["race"]
    with pytest.raises(AttributeError, match="'experiments' has no attribute 'rase'"):
        _ = experiments.rase
