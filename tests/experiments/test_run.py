"""`python -m experiments.run`, end to end."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments import race, run
from nasbench_ar import Architecture, SearchSpace, Table
from nasbench_ar.system import files
from searchers import Searcher
from searchers.library_search import LibrarySearcher
from tests.experiments.conftest import Command, write_table
from tests.files import contents, rows_of
from tests.open_files import open_files

FILES = {"config.yaml", "trajectories.npz"} | {f"summary.{kind}" for kind in ("csv", "md", "tex")}
FILES |= {"trajectory.png", "trajectory.pdf"}


def words(table: Table, out: Path, *more: str) -> list[str]:
    return [f"table={table.folder}", f"out={out}", "runs=4", "queries=20", "jobs=1", "searcher=random_search", *more]


@pytest.mark.usefixtures("real_pictures")
def test_writes_and_prints_everything(table: Table, tmp_path: Path, command: Command) -> None:
    out, err = command.passes(run.main, *words(table, tmp_path / "results"))
    folder = tmp_path / "results/small/random_search"
    assert {p.name for p in folder.iterdir()} == FILES | {"runs"}
    assert "random_search: 4 runs of 20 queries, objective val_pgd_acc, seeds 0..3" in out
    assert "Table small: made-up numbers" in out
    assert "Not in this table: Val Clean" in out
    assert "were allowed" not in out
    assert "ended early" not in out
    assert str(folder) in out
    assert "table small: made-up numbers" in err
    assert [line.split(" [")[0] for line in err.splitlines() if "/4" in line] == ["RandomSearch: 4/4 run"]
    assert "\r" not in err, "not a terminal: no bar"

    pack = np.load(folder / "trajectories.npz")
    assert pack["seeds"].tolist() == [0, 1, 2, 3]
    assert (pack["arch_index"].shape, pack["arch_index"].dtype) == ((4, 20), np.int32)
    assert (pack["scores"].shape, pack["scores"].dtype) == ((4, 20), np.float32)
    column = np.asarray(table.scalar("val_pgd_acc"), dtype=np.float32)
    np.testing.assert_array_equal(pack["scores"], column[pack["arch_index"]])

    rows = rows_of(folder / "summary.csv")
    assert float(rows[0]["mean"]) == pytest.approx(pack["scores"].max(axis=1).mean(), rel=1e-6)

    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["searcher"]["_target_"] == "searchers.random_search.RandomSearch"
    assert config["objective"] == "val_pgd_acc"
    assert {"python", "numpy", "nasbench-ar"} <= set(config["computed_by"][0]["versions"])
    assert config["fingerprint"]["table_hash"] == table.content_hash
    assert (folder / "trajectory.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("searcher", ["random_search", "published_bananas"])
def test_quiet_says_no_progress_and_what_is_left_out(tmp_path: Path, command: Command, searcher: str) -> None:
    partial = write_table(tmp_path / "small", absent=(0, 7, 80))
    more = ("queries=11", "runs=2", f"searcher={searcher}", "quiet=true")
    for _ in ("first", "again"):
        out, err = command.passes(run.main, *words(partial, tmp_path / "r", *more))
        assert "2 runs of 11 queries" in out
        assert err.splitlines() == [
            "nasbench-ar: 3 of 81 architectures have no val_pgd_acc here and are left out of the space"
        ]


def test_the_same_command_again_changes_nothing(table: Table, tmp_path: Path, command: Command) -> None:
    command(run.main, *words(table, tmp_path))
    before = contents(tmp_path / "small")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "small/random_search/runs").iterdir()}
    err = command.passes(run.main, *words(table, tmp_path))[1]
    assert "4 runs are stored in" in err
    assert contents(tmp_path / "small") == before
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "small/random_search/runs").iterdir()} == stamps


def test_more_runs_go_on_from_the_stored_ones(table: Table, tmp_path: Path, command: Command) -> None:
    command(run.main, *words(table, tmp_path / "a", "runs=2"))
    _, out, _ = command(run.main, *words(table, tmp_path / "a", "runs=6"))
    assert "6 runs of 20 queries" in out
    command(run.main, *words(table, tmp_path / "b", "runs=6"))
    first, second = (np.load(tmp_path / k / "small/random_search/trajectories.npz") for k in "ab")
    np.testing.assert_array_equal(first["arch_index"], second["arch_index"])


def test_fewer_runs_are_reported_and_none_is_lost(table: Table, tmp_path: Path, command: Command) -> None:
    command(run.main, *words(table, tmp_path))
    _, out, err = command(run.main, *words(table, tmp_path, "runs=2"))
    assert "4 runs are stored in" in err
    assert "2 runs of 20 queries" in out
    folder = tmp_path / "small/random_search"
    assert yaml.safe_load((folder / "config.yaml").read_text())["runs"] == 2
    assert np.load(folder / "trajectories.npz")["seeds"].tolist() == [0, 1]
    assert len(list((folder / "runs").iterdir())) == 4


@pytest.mark.parametrize("change", ["queries=21", "objective=val_best_pgd_acc", "searcher=local_search"])
def test_changed_configurations_do_not_mix(table: Table, tmp_path: Path, command: Command, change: str) -> None:
    command(run.main, *words(table, tmp_path, "name=mine"))
    before = contents(tmp_path)
    assert "holds results of another configuration" in command.fails(
        run.main, *words(table, tmp_path, "name=mine", change)
    )
    assert contents(tmp_path) == before
    command.passes(run.main, *words(table, tmp_path, "name=mine", change, "overwrite=true"))


def test_another_table_of_the_same_name_does_not_mix(table: Table, tmp_path: Path, command: Command) -> None:
    command(run.main, *words(table, tmp_path))
    other = write_table(tmp_path / "other", shift=1.0)
    assert "table_hash was" in command.fails(run.main, *words(other, tmp_path))


def test_a_partial_table_is_searched_where_it_has_values(tmp_path: Path, command: Command) -> None:
    partial = write_table(tmp_path / "partial", absent=(0, 1, 2))
    out, err = command.passes(run.main, *words(partial, tmp_path, "queries=78"))
    assert "3 of 81 architectures have no val_pgd_acc here and are left out of the space" in err
    assert "78 queries" in out


def test_a_stored_race_runs_again(table: Table, tmp_path: Path, command: Command) -> None:
    """`config=` alone gives the same runs, with limits, noise and arguments; what stands beside it counts."""
    base = [f"table={table.folder}", "runs=3", "queries=15", "jobs=1", f"out={tmp_path / 'first'}"]
    for more in (
        ["searcher=bananas", "searcher.starts=7", "searcher.weight_decay=0.5", "constraint=macs<=2e8,val_loss<=30"],
        ["searcher=random_search", "noise=run", "images=50", "seed=5", "name=noisy", "objective=val_best_pgd_acc"],
    ):
        command.passes(run.main, *base, *more)
    for name in ("bananas", "noisy"):
        stored = tmp_path / "first/small" / name
        for given in (stored, stored / "config.yaml"):
            command.passes(run.main, f"config={given}", "jobs=1", f"out={tmp_path / 'again'}")
        again = tmp_path / "again/small" / name
        assert (again / "summary.csv").read_bytes() == (stored / "summary.csv").read_bytes()
        old, new = (yaml.safe_load((f / "config.yaml").read_text())["fingerprint"] for f in (stored, again))
        assert new == old
    command.passes(run.main, f"config={tmp_path / 'first/small/noisy'}", "runs=2", "jobs=1", f"out={tmp_path / 'c'}")
    assert len(list((tmp_path / "c/small/noisy/runs").iterdir())) == 2
    clean = ["noise=none", "runs=2", "jobs=1", f"out={tmp_path / 'd'}"]
    command.passes(run.main, f"config={tmp_path / 'first/small/noisy'}", *clean)
    assert "images" not in yaml.safe_load((tmp_path / "d/small/noisy/config.yaml").read_text())
    changed = ["searcher=local_search", "jobs=1", f"out={tmp_path / 'c'}"]
    command.passes(run.main, f"config={tmp_path / 'first/small/bananas'}", *changed)
    assert (tmp_path / "c/small/local_search/summary.csv").is_file()
    assert "nowhere" in command.fails(run.main, "config=nowhere")


class Taking(Searcher):
    """Takes whatever it is given."""

    def __init__(self, space: SearchSpace, seed: int, **given: object) -> None:
        super().__init__(space, seed)

    def _ask(self) -> Architecture:
        return self.sample_unseen()


def test_a_stored_race_has_the_very_arguments_again(table: Table, tmp_path: Path, command: Command) -> None:
    arguments = {"opts": {"a": None, "b": True, "c": [1, 2], "d": "5"}, "tag": "5", "many": ["a,b", "1", None]}
    finished = race(Taking, arguments=arguments, table=table.folder, queries=3, runs=1, jobs=1, out=str(tmp_path))
    for name, more, changed in (("same", (), {}), ("changed", ("searcher.tag=5",), {"tag": 5})):
        command.passes(run.main, f"config={finished.folder}", "jobs=1", f"out={tmp_path / name}", *more)
        again = yaml.safe_load((tmp_path / name / "small/Taking/config.yaml").read_text())
        assert again["searcher"] == {"_target_": f"{__name__}.Taking", **arguments, **changed}


class Planning(LibrarySearcher):
    """Plans for a budget."""

    def __init__(self, space: SearchSpace, seed: int, *, budget: int | None = None) -> None:
        super().__init__(space, seed)

    def _ask(self) -> Architecture:
        return self.sample_unseen()


@pytest.mark.parametrize(("told", "planned"), [("null", 7), ("5", 5)])
def test_a_stored_race_with_other_queries_plans_for_them(
    table: Table, tmp_path: Path, command: Command, told: str, planned: int
) -> None:
    mine = (f"searcher._target_={__name__}.Planning", f"searcher.budget={told}")
    command.passes(run.main, *words(table, tmp_path)[:-1], *mine, "queries=6", "runs=1")
    stored = tmp_path / "small/Planning"
    command.passes(run.main, f"config={stored}", "queries=7", "jobs=1", f"out={tmp_path / 'more'}")
    again = yaml.safe_load((tmp_path / "more/small/Planning/config.yaml").read_text())
    assert (again["queries"], again["searcher"]["budget"]) == (7, planned)


def test_an_early_end_is_reported(table: Table, tmp_path: Path, command: Command) -> None:
    target = "searcher._target_=tests.experiments.races.test_runner.Repeater"
    out = command.passes(run.main, *words(table, tmp_path)[:-1], target)[0]
    assert "4 runs ended early; the first, seed 0: nothing new was proposed 10000 times in a row" in out
    assert np.load(tmp_path / "small/Repeater/trajectories.npz")["arch_index"][:, 3:].max() == -1


def test_seeds_start_where_told(table: Table, tmp_path: Path, command: Command) -> None:
    _, out, _ = command(run.main, *words(table, tmp_path, "seed=10"))
    assert "seeds 10..13" in out
    _, out, _ = command(run.main, *words(table, tmp_path, "seed=0", "runs=2"))
    assert "seeds 0..1" in out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("runs=0", "runs=0: expected an integer of at least 1"),
        ("queries=82", "queries=82: the table has 81 architectures with val_pgd_acc; use queries=81 or fewer"),
        ("objective=val_pdg_acc", "unknown metric 'val_pdg_acc'; did you mean val_pgd_acc"),
        ("objective=test_pgd_acc", "test_pgd_acc is a test metric and may not guide a search"),
        (
            "objective=val_cw_acc",
            "table small has no val_cw_acc; objectives it has: macs, params, val_loss",
        ),
        ("objective=best_epoch", "best_epoch may not guide a search"),
        ("table=nowhere", "no table 'nowhere': neither a folder nor an installed name"),
        ("table=nares", "python -m nasbench_ar import"),
        ("searcher=grid", "unknown searcher 'grid'"),
        ("searcher=local_search searcher.starts=0", "starts=0: expected an integer of at least 1"),
        ("searcher._target_=nowhere.Search", "there is no module 'nowhere'"),
        ("table_seed=7", "has no training with seed 7; seeds: [0], or mean"),
        ("rums=3", "unknown key 'rums'; did you mean runs"),
        ("seed=99999999999999999999", "seeds must stay below"),
        ("out=", "out= and table= take a name or a folder"),
        ("table=", "out= and table= take a name or a folder"),
    ],
)
def test_user_errors_are_one_line(table: Table, tmp_path: Path, command: Command, change: str, message: str) -> None:
    base = words(table, tmp_path / "out")[: -1 if "searcher" in change else None]
    assert message in command.fails(run.main, *base, *change.split())
    assert not (tmp_path / "out").exists(), "nothing half-written"


def test_paths_may_hold_any_character(table: Table, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "ünï (2), it's = {x}"
    command.passes(run.main, *words(table, out))
    assert (out / "small/random_search/summary.csv").exists()


class Raising(Searcher):
    """Cannot be built with 3."""

    def __init__(self, space: SearchSpace, seed: int, *, number: int = 3) -> None:
        super().__init__(space, seed)
        if number == 3:
            raise ValueError("not three")

    def _ask(self) -> Architecture:
        return self.sample_unseen()


def test_a_constructor_that_refuses_is_one_line(table: Table, tmp_path: Path, command: Command) -> None:
    base = words(table, tmp_path)[:-1]
    error = command.fails(run.main, *base, f"searcher._target_={__name__}.Raising")
    assert error.endswith("cannot be built with {}: not three")
    command.passes(run.main, *base, f"searcher._target_={__name__}.Raising", "searcher.number=4")


def test_sigterm_ends_workers_and_keeps_runs(table: Table, tmp_path: Path) -> None:
    settings = [f"table={table.folder}", "runs=400", "queries=60", "jobs=2", "searcher=bananas", "searcher.steps=100"]
    call = [sys.executable, "-m", "experiments.run", *settings, f"out={tmp_path}"]
    process = subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    runs = tmp_path / "small/bananas/runs"
    until = time.monotonic() + 60
    while len(list(runs.glob("seed-*.npz"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "terminated; finished runs are kept" in err
    assert 2 <= len(list(runs.glob("seed-*.npz"))) < 400


def test_a_test_metric_needs_the_opt_in(table: Table, tmp_path: Path, command: Command) -> None:
    out = command.passes(run.main, *words(table, tmp_path, "objective=test_pgd_acc", "allow_test_objective=true"))[0]
    assert "objective test_pgd_acc" in out


def test_unwritable_out(table: Table, tmp_path: Path, command: Command) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write results to" in command.fails(run.main, *words(table, tmp_path / "file"))


def test_help(command: Command) -> None:
    out = command.passes(run.main, "--help")[0]
    for word in (
        "Race one searcher",
        "python -m experiments.run searcher=local_search searcher.improvement=best queries=200",
        "  searcher=gp  ",
        "searcher._target_=my_module.MySearcher",
        "nares-figures: ",
        "docs/experiments.md",
    ):
        assert word in out


def test_cheap_searchers_never_import_torch(table: Table, tmp_path: Path) -> None:
    arguments = words(table, tmp_path)
    code = f"import sys\nfrom experiments import run\nrun.main({arguments!r})\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_few_open_files_are_one_line(table: Table, tmp_path: Path, command: Command) -> None:
    with open_files(20):
        code, out, err = command(run.main, f"table={table.folder}", "queries=10", "runs=2", f"out={tmp_path}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: a process may have only 20 files open here (ulimit -n)")


def test_a_finished_experiment_reports_from_a_folder_that_cannot_be_written(
    table: Table, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = ("objective=val_pgd_acc,macs",)
    printed = [command(run.main, *words(table, tmp_path / "r", *more))[1] for more in ((), several)]
    before = contents(tmp_path / "r")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files, "open_atomically", refuse)
    for more, expected in zip(((), several), printed, strict=True):
        code, out, err = command(run.main, *words(table, tmp_path / "r", *more))
        assert (code, out) == (0, expected)
        assert "nasbench-ar: no report files: writing " in err
        assert err.count("Read-only file system") == 1
    code, out, err = command(run.main, *words(table, tmp_path / "r", "runs=5"))
    assert (code, out) == (2, "")
    assert "config.yaml failed: Read-only file system" in err
    assert contents(tmp_path / "r") == before
