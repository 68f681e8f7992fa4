"""`python -m experiments.track`, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import track
from experiments.races import track as files
from experiments.results.read import read
from nasbench_ar import Oracle, Table, TableWriter
from nasbench_ar.system.command import run_command
from searchers import BASELINES, SEARCHERS
from tests.experiments.conftest import Command, judged_values
from tests.experiments.fidelity.conftest import write_climbing
from tests.files import rows_of
from tests.nasbench_ar.test_from_frame import ABOUT, ACCURACY, LOSS, SIZE, frame_of

FILES = {"track.md", "track.csv", "track.png", "track.pdf", "recommendation.csv"}


def write_track(folder: Path, table: Table, name: str = "mine", **said: object) -> Path:
    path = folder / f"{name}.yaml"
    content = {"about": "Made up.", "table": str(table.folder), "queries": 20} | said
    path.write_text("".join(f"{key}: {value}\n" for key, value in content.items() if value is not None))
    return path


def lines_of(folder: Path) -> dict[str, dict[str, str]]:
    return {line["entry"]: line for line in rows_of(folder / "track.csv")}


@pytest.fixture
def without_macs(tmp_path: Path) -> Table:
    given: dict[str, Any] = {"entries": ["optimizer", "rate"], "metrics": [ACCURACY, LOSS, SIZE], "seed": "seed"}
    return Table(TableWriter.from_frame(frame_of(), tmp_path / "mine", **given, **ABOUT))


@pytest.mark.usefixtures("real_pictures")
def test_everyone_takes_part(table: Table, tmp_path: Path, command: Command) -> None:
    mine = write_track(tmp_path, table, judge="test_pgd_acc")
    out, _ = command.passes(track.main, f"name={mine}", "runs=5", "jobs=1", f"out={tmp_path}")
    folder = tmp_path / "small/track-mine"
    everyone = {*SEARCHERS, *BASELINES}
    assert {path.name for path in folder.iterdir()} == FILES | everyone
    assert "Track mine: 20 queries, objective val_pgd_acc; judged by Test PGD20" in out
    assert (folder / "track.md").read_text() in out
    assert "ten steps" in out, "the judge is measured otherwise"
    lines = lines_of(folder)
    assert {name for name, line in lines.items() if line["kind"] == "entry"} == everyone
    for name in everyone:
        stored = read(folder / name)
        assert stored.race.queries == 20
        known = np.count_nonzero(~np.isnan(stored.oracle.column("test_pgd_acc")[stored.runs.reported]))
        assert int(lines[name]["known"]) == known
        if 2 * known >= 5:
            worth = judged_values(stored.oracle, stored.race, stored.runs, "test_pgd_acc")
            assert float(lines[name]["mean"]) == pytest.approx(np.mean(worth))
    best = np.nanmax(Oracle(table).column("test_pgd_acc"))
    assert float(lines["best possible"]["mean"]) == pytest.approx(best)


def test_entries_of_ones_own_stand_beside(table: Table, tmp_path: Path, command: Command) -> None:
    """The report has all that is in the folder; the same command computes nothing anew."""
    mine = write_track(tmp_path, table)
    same = (f"name={mine}", "runs=3", "jobs=1", f"out={tmp_path}")
    command.passes(track.main, *same, "searcher=random_search")
    command.passes(track.main, *same, "searcher=local_search", "searcher.improvement=best", "entry=steepest")
    folder = tmp_path / "small/track-mine"
    assert {"random_search", "steepest"} <= set(lines_of(folder))
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/runs/*")}
    assert len(before) == 6
    command.passes(track.main, *same, "searcher=random_search")
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*/runs/*")}
    said = command.fails(track.main, *same, "searcher=local_search", "entry=steepest")
    assert "searcher.improvement was 'best', is 'first'); use another entry= or out=" in said
    for run in (folder / "steepest/runs").iterdir():  # as if that entry had just been begun
        run.unlink()
    _, said = command.passes(track.main, *same, "searcher=random_search")
    assert f"{folder}: left out, without a finished run: steepest" in said


def test_what_the_track_says_is_raced(table: Table, tmp_path: Path, command: Command) -> None:
    macs = Oracle(table).column("macs")
    limit = float(np.sort(macs)[40])
    said = {"constraint": f"macs<={limit:.12g}", "noise": "run", "images": 200, "recommend": "model"}
    mine = write_track(tmp_path, table, **said)
    out, _ = command.passes(track.main, f"name={mine}", "searcher=random_search", "runs=3", "jobs=1", f"out={tmp_path}")
    stored = read(tmp_path / "small/track-mine/random_search")
    assert (stored.race.noise, stored.race.images, stored.race.queries) == ("run", 200, 20)
    assert macs[stored.runs.arch_index].max() <= limit
    assert "noise run; judged by Val PGD20, recommended: model" in out
    assert "Queries to reach" not in out, "of noisy scores"
    choices = rows_of(tmp_path / "small/track-mine/recommendation.csv")
    [by_model] = [line for line in choices if (line["metric"], line["rule"]) == ("val_pgd_acc", "model")]
    assert float(lines_of(tmp_path / "small/track-mine")["random_search"]["mean"]) == float(by_model["mean"])


def test_several_objectives(table: Table, tmp_path: Path, command: Command) -> None:
    mine = write_track(tmp_path, table, objective="val_pgd_acc,macs", judge="hypervolume")
    out, _ = command.passes(track.main, f"name={mine}", "runs=3", "jobs=1", f"out={tmp_path}")
    lines = lines_of(tmp_path / "small/track-mine")
    assert set(lines) == {"random_search", "nsga2"}
    assert all(0 < float(line["mean"]) < 1 for line in lines.values())
    assert "judged by the hypervolume" in out


def test_learning_curves(tmp_path: Path, command: Command) -> None:
    table = write_climbing(tmp_path / "climbing")
    mine = write_track(tmp_path, table, fidelity="true", queries=None, budget=90)
    out, _ = command.passes(track.main, f"name={mine}", "runs=3", "jobs=1", f"out={tmp_path}")
    lines = lines_of(tmp_path / "climbing/track-mine")
    assert {"asha", "hyperband", "best possible"} <= set(lines)
    assert "Track mine: 90 epochs" in out
    assert float(lines["asha"]["mean"]) <= float(lines["best possible"]["mean"])


def test_learning_curves_of_other_machines_are_no_entries(tmp_path: Path, command: Command) -> None:
    table = write_climbing(tmp_path / "climbing")
    for workers, searcher in ((1, "asha"), (4, "hyperband")):
        mine = write_track(tmp_path, table, fidelity="true", queries=None, budget=30, workers=workers)
        words = (f"name={mine}", f"searcher={searcher}", "runs=2", "jobs=1", f"out={tmp_path}")
        if workers == 1:
            command.passes(track.main, *words)
    assert "hyperband and asha cannot be compared: workers 4 against 1" in command.fails(track.main, *words)


def test_all_tracks(table: Table, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [
        write_track(tmp_path, table, "one", judge="test_pgd_acc"),
        write_track(tmp_path, table, "several", objective="val_pgd_acc,macs", judge="hypervolume"),
        write_track(tmp_path, table, "two", queries=15),
    ]
    monkeypatch.setattr(files, "_files", lambda: paths)
    same = ("name=all", "runs=4", "jobs=1", f"out={tmp_path / 'out'}")
    _, err = command.passes(track.main, *same, "searcher=random_search")
    assert "several: for searchers of another kind, left out" in err
    out, _ = command.passes(track.main, *same)
    text = (tmp_path / "out/tracks.md").read_text()
    assert text in out
    begins = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert {"one", "two", "several", "one, model", "two, space", "all tracks, model"} <= set(begins)
    found = rows_of(tmp_path / "out/tracks.csv")
    assert {line["track"] for line in found} == {"one", "two", "several"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("name=", "name= is missing: fidelity, macs-10g"),
        ("", "name= is missing"),
        ("name=macs-11g", "there is no such track"),
        ("name=MINE queries=3", "'queries=3': the track says it"),
        ("name=MINE constraint=macs<=1", "the track says it"),
        ("name=MINE searcher=banana", "unknown searcher 'banana'"),
        ("name=MINE searcher=bananas searcher=all", "searcher=all names every searcher; name one, or none"),
        ("name=MINE entry=x", "entry='x' is one searcher's name"),
        ("name=MINE searcher=nsga2 entry=../x", "expected a plain folder name"),
        ("name=MINE runs=0", "runs=0: expected an integer of at least 1"),
        ("name=MINE rnus=3", "unknown key 'rnus'; did you mean runs?"),
        ("name=MINE table=nosuch", "no table 'nosuch'"),
    ],
)
def test_wrong_words(table: Table, tmp_path: Path, command: Command, words: str, said: str) -> None:
    mine = str(write_track(tmp_path, table))
    given = [word.replace("MINE", mine) for word in words.split()]
    assert said in command.fails(track.main, *given, f"out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


def test_a_judge_that_the_table_lacks_is_refused_before_any_run(table: Table, tmp_path: Path, command: Command) -> None:
    mine = write_track(tmp_path, table, judge="test_aa_acc")
    said = command.fails(track.main, f"name={mine}", f"out={tmp_path / 'out'}")
    assert "track mine is judged by test_aa_acc, which is not in table small" in said
    assert not (tmp_path / "out").exists()


def test_a_table_without_macs_has_limits_on_its_own_costs(
    without_macs: Table, tmp_path: Path, command: Command
) -> None:
    mine = write_track(tmp_path, without_macs, queries=5, constraint="size_mb<=0.1")
    command.passes(track.main, f"name={mine}", "runs=2", "jobs=1", f"out={tmp_path / 'out'}")
    folder = tmp_path / "out/mine/track-mine"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set(SEARCHERS), "largest needs MACs"
    size, accuracy = (Oracle(without_macs).column(name) for name in ("size_mb", "val_acc"))
    for name in SEARCHERS:
        assert size[read(folder / name).runs.arch_index].max() <= 0.1
    assert float(lines_of(folder)["best possible"]["mean"]) == pytest.approx(accuracy[size <= 0.1].max())


def test_a_limit_that_only_a_query_tells_is_refused_before_any_run(
    without_macs: Table, tmp_path: Path, command: Command
) -> None:
    mine = write_track(tmp_path, without_macs, queries=5, constraint="val_mse<=0.0005")
    said = command.fails(track.main, f"name={mine}", f"out={tmp_path / 'out'}")
    assert "constraint=val_mse<=0.0005: only a query tells what keeps it; limit size_mb" in said
    assert not (tmp_path / "out").exists()


def test_help_lists_the_tracks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(track.main, ["--help"]) == 0
    text = capsys.readouterr().out
    assert "macs-10g" in text
    assert "entry=null" in text
    assert "\n  queries=" not in text
