"""The commands as a user calls them: results, going on, comparing, and refusals."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments import plot
from experiments.fidelity import __main__ as front
from experiments.fidelity import compare, ranks
from experiments.races.config import FIDELITY_RACES
from nasbench_ar import Oracle, Table
from tests.experiments.conftest import Command
from tests.files import contents, rows_of

WORDS = ("runs=3", "budget=90", "jobs=1")


def test_all_searchers_and_their_comparison(command: Command, climbing: Table, tmp_path: Path) -> None:
    words = (f"table={climbing.folder}", f"out={tmp_path / 'r'}", *WORDS)
    out, err = command.passes(front.main, *words)
    folder = tmp_path / "r" / "climbing" / "fidelity"
    for name in FIDELITY_RACES.searchers:
        assert name in out
        assert (folder / name / "summary.png").exists()
        assert len(list((folder / name / "runs").iterdir())) == 3
    assert "3 runs of 90 epochs" in out
    assert "1 of 81 architectures have no curve" in err
    assert "\r" not in err
    lines = rows_of(folder / "comparison.csv")
    assert len(lines) == 4 * 3
    assert {line["unit"] for line in lines} == {"epochs"}
    final = {line["searcher"]: float(line["mean"]) for line in lines if line["share"] == "1.0"}
    worth = Oracle(climbing).column("val_pgd_acc")
    for name in FIDELITY_RACES.searchers:  # what the runs report is worth what the table says
        runs = [np.load(folder / name / "runs" / f"seed-{seed:06d}.npz") for seed in range(3)]
        assert final[name] == pytest.approx(np.mean([worth[run["incumbent"][-1]] for run in runs]))
        assert all(run["spent"][-1] == 90 for run in runs)

    before = contents(folder)
    again, err = command.passes(front.main, "searcher=all", *words)
    assert again == out
    assert "3 runs are stored" in err
    assert contents(folder) == before


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_processes(command: Command, climbing: Table, tmp_path: Path) -> None:
    texts = []
    for jobs in (1, 2):
        words = (f"table={climbing.folder}", f"out={tmp_path / str(jobs)}", "runs=3", "budget=90", f"jobs={jobs}")
        out = command.passes(front.main, "searcher=asha", "workers=3", "searcher.eta=2", *words)[0]
        texts.append(out.replace(str(tmp_path / str(jobs)), ""))
        runs = tmp_path / str(jobs) / "climbing" / "fidelity" / "asha" / "runs"
        texts.append(repr([np.load(file)["ended"].tolist() for file in sorted(runs.iterdir())]))
    assert texts[:2] == texts[2:]


def test_more_runs_go_on_and_other_rules_are_refused(command: Command, climbing: Table, tmp_path: Path) -> None:
    words = ["searcher=hyperband", f"table={climbing.folder}", f"out={tmp_path / 'r'}", "budget=90", "jobs=1"]
    command.passes(front.main, *words, "runs=2")
    err = command.passes(front.main, *words, "runs=3")[1]
    assert "2 runs are stored" in err
    for changed in ("budget=91", "workers=2", "searcher.eta=2", "unit=gpu_days"):
        extra = ["budget=0.001"] if changed.startswith("unit") else []
        err = command.fails(front.main, *words, "runs=3", changed, *extra)
        assert "results of another configuration" in err
        assert changed.split("=")[0] in err
    command.passes(front.main, *words, "runs=2", "workers=2", "overwrite=true")


def test_estimated_costs_say_so_everywhere(command: Command, climbing: Table, tmp_path: Path) -> None:
    words = ["searcher=asha", f"table={climbing.folder}", f"out={tmp_path / 'r'}", "runs=2", "jobs=1"]
    code, out, err = command(front.main, *words, "unit=gpu_days", "workers=2")
    folder = tmp_path / "r" / "climbing" / "fidelity" / "asha"
    assert code == 0, err
    for text in (
        out,
        err,
        (folder / "summary.md").read_text(),
        (folder / "summary.csv").read_text(),
        (folder / "summary_curves.csv").read_text(),
        yaml.safe_load((folder / "config.yaml").read_text())["cost"],
    ):
        assert "cost: estimated from MACs (13.1K GPU-days for the 15,625 architectures" in text
    assert "GPU-days each, 2 at a time; cost: estimated from MACs" in err
    error = command.fails(front.main, *words, "unit=gpu_days", "workers=2", "budget=50")
    assert "GPU-days; use that or less; cost: estimated from MACs" in error


def test_a_budget_for_half_of_a_small_space(command: Command, climbing: Table, tmp_path: Path) -> None:
    words = ["searcher=random_full", f"table={climbing.folder}", f"out={tmp_path / 'r'}", "runs=1", "jobs=1"]
    out = command.passes(front.main, *words)[0]
    assert "1 runs of 360 epochs" in out


@pytest.mark.usefixtures("real_pictures")
def test_comparing_folders(command: Command, climbing: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"table={climbing.folder}", "out=r", *WORDS]
    folder = tmp_path / "r" / "climbing" / "fidelity"
    for extra in (["searcher=asha", "name=one"], ["searcher=asha", "name=four", "workers=4"]):
        command.passes(front.main, *words, *extra)
    out = command.passes(compare.main, folder / "one", folder / "four", "out=both")[0]
    assert "one (1 worker)" in out
    assert "four (4 workers)" in out
    assert (tmp_path / "both.png").stat().st_size > 10_000
    curves = rows_of(tmp_path / "both_curves.csv")
    clock = [float(line["x"]) for line in curves if line["axis"] == "clock" and line["searcher"] == "four"]
    assert max(clock) < 30
    command.passes(front.main, *words, "searcher=asha", "name=less", "budget=80")
    assert (
        "less and one cannot be compared: budget 80.0 against 90.0"
        in command(compare.main, folder / "one", folder / "less")[2]
    )
    assert "runs of experiments.fidelity" in command(plot.main, folder / "one")[2]
    assert "no result folder given" in command(compare.main)[2]
    assert "holds no results" in command(compare.main, tmp_path)[2]


def test_ties_at_the_edge_of_the_best_are_drawn() -> None:
    """Over all subsets of two that no other beats."""
    values = np.array([3.0, 1.0, 1.0, 0.0, 1.0])
    subsets = [pair for pair in itertools.combinations(range(5), 2) if 0 in pair and 3 not in pair]
    wanted = [np.mean([k in pair for pair in subsets]) for k in range(5)]
    np.testing.assert_allclose(ranks.chances_among_best(values, 2), wanted)


def test_ranks(command: Command, climbing: Table, tmp_path: Path) -> None:
    out = command.passes(ranks.main, f"table={climbing.folder}", f"out={tmp_path / 'ranks.csv'}")[0]
    lines = rows_of(tmp_path / "ranks.csv")
    assert [int(line["epoch"]) for line in lines] == list(range(9))
    assert float(lines[-1]["kendall_tau_b"]) == pytest.approx(1)  # here the last epoch is the best one
    assert float(lines[-1]["best_tenth_found"]) == 1
    assert 0 < float(lines[0]["kendall_tau_b"]) < 1
    assert "| 8     |" in out


WRONG = [
    (("searcher=bananas",), "unknown searcher 'bananas'; known: random_full, successive_halving, hyperband, asha"),
    (("queries=5",), "unknown key 'queries'"),
    (("constraint=macs<=1e6",), "unknown key 'constraint'"),
    (("noise=run",), "unknown key 'noise'"),
    (("images=500",), "unknown key 'images'"),
    (("allow_test_objective=true",), "unknown key"),
    (("objective=val_pgd_acc,macs",), "epochs are bought for one metric; name one"),
    (("unit=days",), "unit='days': expected epochs or gpu_days"),
    (("budget=-1",), "budget=-1.0: expected a positive number"),
    (("budget=2.5",), "epochs are whole"),
    (("budget=721",), "training all 80 architectures that have curves to the end takes 720 epochs"),
    (("workers=0",), "workers=0: expected an integer from 1"),
    (("searcher.eta=2",), "is about one searcher"),
    (("name=x",), "is about one searcher"),
    (("searcher=all", "searcher=asha"), "name one, or none"),
    (("searcher=asha", "searcher.eta=1"), "eta=1: expected an integer of at least 2"),
    (("searcher=asha", "searcher.members=1"), "searcher asha has no argument 'members'; it takes eta"),
    (("searcher._target_=searchers.random_search.RandomSearch",), "no subclass of searchers.fidelity.FidelitySearcher"),
    (("objective=test_pgd_acc",), "has no learning curve of test_pgd_acc"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_refusals(command: Command, climbing: Table, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    assert message in command.fails(front.main, f"table={climbing.folder}", f"out={tmp_path / 'r'}", "runs=1", *words)
    assert not (tmp_path / "r").exists()


def test_a_table_without_curves(command: Command, tmp_path: Path) -> None:
    for main in (front.main, ranks.main):
        err = command.fails(main, "table=nares-figures", f"out={tmp_path / 'r'}")
        assert "nares-figures has no learning curves" in err
        assert "import nares.txz" in err


def test_help(command: Command) -> None:
    out = command.passes(front.main, "--help")[0]
    for word in (
        "budget=null",
        "workers=1",
        "eta=3",
        "  searcher=all  ",
        "table=null",
        "none, since it has no learning",
    ):
        assert word in out
    assert "queries" not in out
    for main in (compare.main, ranks.main):
        assert command(main, "--help")[1].strip()
