"""Honest submissions pass, and every way to cheat that we know of is refused in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.races.config import target_of
from experiments.races.provenance import library_versions, source_digest
from experiments.races.race import open_session
from experiments.races.runner import run_once
from experiments.races.store import Runs
from experiments.races.track import load_track
from experiments.submissions import entry as entry_module
from experiments.submissions.check import check, race_on
from experiments.submissions.entry import ENTRY, RUNS, Entry, read_entry, track_content, write_entry
from experiments.submissions.queries import columns_of
from nasbench_ar import ResultsError, load
from searchers import Bananas, RandomSearch, VectorRandomSearch, hyperparameters
from tests.experiments.submissions.conftest import Change


def test_an_outsiders_submission_passes(honest: Path) -> None:
    found = check(honest)
    assert found.not_rerun == ""
    assert (found.entry.entry, found.entry.contact, found.entry.tuned_on) == ("annealing", "me@example.org", ())
    assert found.entry.cpu_seconds > 0
    assert found.runs.arch_index.shape == (100, 200)
    again = run_once(found.race, 99)
    np.testing.assert_array_equal(found.runs.arch_index[99], again.arch_index)
    values = load("nares-figures", quiet=True).column("val_best_pgd_acc")
    np.testing.assert_array_equal(found.runs.scores, values[found.runs.arch_index].astype(np.float32))


def test_it_passes_without_its_code_but_is_not_rerun(honest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not place.endswith("examples")])
    monkeypatch.delitem(sys.modules, "annealing")
    assert check(honest).not_rerun == "there is no module annealing here"
    assert check(honest, reruns=0).not_rerun == "not asked for"


def test_code_in_a_submission_is_never_imported(changed: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(entry: dict[str, Any]) -> None:
        entry["fingerprint"]["searcher"] = {"_target_": "payload.Searcher"}

    folder = changed(entry=other)
    (folder / "payload.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(folder)
    refused(folder, r"holds 'payload\.py'; a submission is entry\.yaml and runs\.parquet, nothing else")


def test_nor_is_a_package_around_it(changed: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any folder on the path is one, without a line of code."""
    around = tmp_path.name
    folder = changed(entry=setting("fingerprint", searcher={"_target_": f"{around}.payload.Searcher"}))
    (tmp_path / "payload.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path.parent)
    assert check(folder).not_rerun == f"there is no module {around} here"


def test_runs_of_another_release_are_not_rerun(changed: Change) -> None:
    assert "computed by release 0.0.1" in check(changed(entry=setting("fingerprint", version="0.0.1"))).not_rerun


def setting(part: str, **values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda entry: entry[part].update(values)


def setting_all(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda entry: entry.update(values)


def cell(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame[column] = [value if k == row else old for k, old in enumerate(frame[column])]
        frame[column] = frame[column].astype(TYPES[column])

    return change


TYPES = {"seed": "int64", "query": "int32", "arch_index": "int32", "score": "float32", "incumbent": "int32"}


def copied(frame: pd.DataFrame, column: str, to: int, source: int) -> None:
    """Give row `to` what row `source` has, its score included."""
    for name in (column, "score") if column == "arch_index" else (column,):
        frame.loc[to, name] = frame.loc[source, name]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (cell(450, "score", 99.0), "seed 2: query 51 has the score 99; the table says "),
        (cell(3, "score", np.nan), "column score has empty cells; every row has a value"),
        (lambda f: f[f.seed != 17], "seed 17 is missing; expected all from 0 to 99"),
        (lambda f: f[f.seed < 99], "has 99 seeds; expected 100 to 1000, from 0 on"),
        (lambda f: f.assign(seed=f.seed + 1), "seed 0 is missing; expected all from 0 to 100"),
        (lambda f: f.assign(seed=f.seed.where(f.seed != 5, 4)), "seed 5 is missing"),
        (lambda f: f.drop(index=199), "seed 0 has 199 queries; the track asks for 200 in every run"),
        (
            lambda f: pd.concat([f[:200], f[199:200].assign(query=np.int32(201)), f[200:]]),
            "seed 0 has 201 queries; the track asks for 200 in every run",
        ),
        (lambda f: pd.concat([f[1:], f[:1]]), "rows are not in order; expected seeds ascending"),
        (lambda f: f.assign(query=f["query"] - 1), "rows are not in order; expected seeds ascending"),
        (lambda f: copied(f, "arch_index", 9, 4), "seed 0: query 10 is of architecture"),
        (lambda f: copied(f, "incumbent", 0, 199), "seed 0: after query 1 it recommends"),
        (cell(7, "arch_index", 15624), "query 8 is of architecture 15624, which the track does not allow"),
        (cell(7, "arch_index", -1), "query 8 is of architecture -1, which the track does not allow"),
        (cell(0, "incumbent", 15624), "after query 1 it recommends 15624, which it had not queried"),
        (lambda f: f.assign(note="x"), "has columns .*'note'.*; expected seed int64, .*and no other"),
        (lambda f: f.drop(columns="incumbent"), "has columns .*; expected seed int64"),
        (lambda f: f.assign(score=f.score.astype(str)), "has columns .*string.*; expected seed int64"),
        (lambda f: f.assign(seed=f.seed.astype(float)), "has columns .*double.*; expected seed int64"),
        (lambda f: pd.concat([f] * 11), "has 220,000 rows; 1000 runs of 200 queries have 200,000"),
        (lambda f: f[:0], "has 0 seeds"),
    ],
)  # fmt: skip
def test_cheating_in_runs(changed: Change, change: Callable[[pd.DataFrame], Any], says: str) -> None:
    refused(changed(runs=change), says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (setting("fingerprint", objective="test_pgd_acc"), "objective was 'test_pgd_acc', is 'val_best_pgd_acc'"),
        (setting("fingerprint", queries=501), "its runs are not of track macs-7g .queries was 501, is 200"),
        (setting("track", queries=501), "track macs-7g is another one here .queries was 501, is 200.; run it anew"),
        (setting("track", judge="objective"), "another one here .judge was 'objective', is 'test_pgd_acc'"),
        (setting("track", name="mine"), "there is no track 'mine'; submissions are for fidelity, macs-10g"),
        (setting("fingerprint", table_hash="0" * 64), "table_hash was '000"),
        (setting("fingerprint", table="digits-729"), "table was 'digits-729', is 'nares-figures'"),
        (setting("fingerprint", table_seed=0), "table_seed was 0, is 'mean'"),
        (setting("fingerprint", noise="run", images=9), "noise was 'run', is None"),
        (setting("fingerprint", constraint="macs<=8e9"), "constraint was "),
        (setting("fingerprint", source="0" * 64), "source digest '0000.* of annealing.SimulatedAnnealing, here it is"),
        (setting("fingerprint", searcher={"_target_": "annealing.SimulatedAnnealing", "cooling": 0.5}), "run again"),
        (setting("fingerprint", searcher={"_target_": "annealing.SimulatedAnnealing", "x": 1}), "cannot be run again"),
        (setting("fingerprint", searcher={"_target_": "searchers.random_search.Nope"}), "has no subclass of"),
        (setting("fingerprint", libraries={"python": "2.7"}), "annealing.SimulatedAnnealing needs no library"),
        (
            setting("fingerprint", searcher={"_target_": target_of(Bananas), **hyperparameters(Bananas)}),
            "tuned_on lacks nares-figures, digits-729, .*, on which the defaults of searchers.bananas.Bananas were",
        ),
        (setting("fingerprint", searcher="annealing"), "expected the fingerprint of config.yaml"),
        (setting("fingerprint", libraries=["x"]), "expected the fingerprint of config.yaml"),
        (lambda e: e.update(cpu_seconds=float("nan")), "cpu_seconds is nan; expected processor time"),
        (lambda e: e.update(cpu_seconds=-1.0), "cpu_seconds is -1.0; expected"),
        (lambda e: e.update(cpu_seconds="fast"), "cpu_seconds is 'fast'; expected"),
        (lambda e: e.update(contact="two\nlines"), "contact is .*; expected a line of text"),
        (lambda e: e.update(contact="x" * 201), "contact is .*; expected a line of text"),
        *(
            (setting_all(entry=name), "entry is .*; expected a name: use letters, digits")
            for name in ("", "bananas ", "banan\u0430s", "(best possible)", "a\nb")
        ),
        (lambda e: e.update(tuned_on="nares-figures"), "tuned_on is 'nares-figures'; expected a list"),
        (lambda e: e.update(computed_by=[]), "computed_by is ..; expected commits"),
        (lambda e: e.update(computed_by=[{"versions": 3}]), "computed_by is .*; expected commits"),
        (lambda e: e.update(track="macs-7g"), "track is 'macs-7g'; expected name and content"),
        (lambda e: e.update(rank=1), "unknown key 'rank'; expected format, entry, track"),
        (lambda e: e.pop("contact"), "contact is missing; expected format"),
        (lambda e: e.update(format=2), "is no entry of format 1"),
        (lambda e: e.update(format=True), "is no entry of format 1"),
    ],
)
def test_cheating_in_the_entry(changed: Change, change: Callable[[dict[str, Any]], object], says: str) -> None:
    refused(changed(entry=change), says)


def test_slow_runs_may_be_fewer(changed: Change) -> None:
    """25 where one takes longer than a processor second."""
    assert len(check(changed(setting_all(cpu_seconds=1.5), lambda f: f[f.seed < 25]), reruns=0).runs.seeds) == 25


@pytest.mark.parametrize(
    ("seconds", "runs", "says"),
    [(1.0, 99, "has 99 seeds; expected 100 to 1000"), (1.5, 24, "has 24 seeds; expected 25 to 1000")],
)
def test_too_few_runs(changed: Change, seconds: float, runs: int, says: str) -> None:
    refused(changed(setting_all(cpu_seconds=seconds), lambda f: f[f.seed < runs]), says)


def refused(folder: Path, says: str) -> None:
    with pytest.raises(ResultsError, match=says) as error:
        check(folder)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(folder))


def test_incumbents_chosen_afterwards_are_seen_when_run_again(changed: Change) -> None:
    def best_on_test(frame: pd.DataFrame) -> None:
        frame.loc[199, "incumbent"] = frame.loc[0, "arch_index"]

    refused(changed(runs=best_on_test), r"seed 0, run again, differs from query 200 on \(incumbent\)")


def test_runs_beyond_the_first_are_drawn_anew(changed: Change) -> None:
    def swap(frame: pd.DataFrame) -> None:
        """Queries 1 and 2 of every run but the first three: allowed, and not what the searcher does."""
        late = frame.seed >= 3
        for column in ("arch_index", "score"):
            first, second = (frame.loc[late & (frame["query"] == k), column].to_numpy() for k in (1, 2))
            frame.loc[late & (frame["query"] == 1), column] = second
            frame.loc[late & (frame["query"] == 2), column] = first
        at_first = late & (frame["query"] == 1)
        frame.loc[at_first, "incumbent"] = frame.loc[at_first, "arch_index"]

    folder = changed(runs=swap)
    assert check(folder, reruns=3).rerun == 3
    refused(folder, r"seed ([3-9]|\d\d), run again, differs from query 1 on")


def test_few_runs_must_be_slow_ones(changed: Change) -> None:
    refused(
        changed(setting_all(cpu_seconds=1.5), lambda f: f[f.seed < 25]),
        r"has 25 seeds, since a run is said to take 1\.5 processor seconds; here it takes .*: expected 100 seeds",
    )


def test_other_versions_are_named_where_a_run_differs(changed: Change) -> None:
    def old(entry: dict[str, Any]) -> None:
        entry["computed_by"] = [{"git_commit": "abc", "versions": {"numpy": "1.0"}}]
        entry["fingerprint"]["searcher"]["cooling"] = 0.5

    refused(changed(entry=old), "run again, differs from query .* on .*computed by other versions .*numpy was '1.0'")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [x]\nb: [*a, *a]\n", "it has an alias"),
        ("entry: a\nentry: b\n", "'entry' is there twice, in lines 1 and 2"),
        ("[" * 100_000, "cannot read|expected at most"),
        ("[" * 20_000, "cannot read"),
        ("x: " + "y" * 70_000, "bytes; expected at most 65,536"),
        ("!!python/object/apply:os.system [echo]", "cannot read"),
        ("", "is no entry of format 1"),
        ("- 1", "is no entry of format 1"),
    ],
)
def test_entries_that_are_none(changed: Change, text: str, says: str) -> None:
    folder = changed()
    (folder / ENTRY).write_text(text)
    with pytest.raises(ResultsError, match=says):
        check(folder)


def test_damaged_and_missing_runs(changed: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = changed()
    content = (folder / RUNS).read_bytes()
    for damaged in (content[:-50], b"", b"PAR1" * 30, content[:2000] + b"x" * 3000 + content[5000:]):
        (folder / RUNS).write_bytes(damaged)
        refused(folder, "is damaged|query .* has the score|is missing|not in order|of architecture|recommends")
    monkeypatch.setattr(entry_module, "MOST_BYTES", 1000)
    (folder / RUNS).write_bytes(content)
    refused(folder, "bytes; expected at most 1,000")
    (folder / RUNS).unlink()
    refused(folder, "is no submission: there is no runs.parquet in it")
    (folder / ENTRY).unlink()
    refused(folder, "is no submission: there is no entry.yaml in it")


@pytest.mark.parametrize("name", ["noisy", "pareto"])
def test_scores_of_other_kinds_of_tracks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against what sessions answer: redrawn images, and the first of several objectives."""
    monkeypatch.setattr(entry_module, "LEAST_RUNS", 2)
    track, oracle = load_track(name), load("nares-figures", quiet=True)
    cls = VectorRandomSearch if track.several else RandomSearch
    marks = {
        "table": "",
        "table_hash": "",
        "objective": "",
        "table_seed": "mean",
        "searcher": {"_target_": target_of(cls)},
        "source": source_digest(cls),
        "version": library_versions()["nasbench-ar"],
    }
    race = race_on(track, oracle, marks)
    assert open_session(race).budget == 500
    runs = [run_once(race, seed) for seed in (0, 1)]
    arch_index, scores, incumbent = (
        np.array([getattr(run, part) for run in runs]) for part in ("arch_index", "scores", "incumbent")
    )
    stored = Runs(np.arange(2), arch_index, scores, incumbent, np.zeros(2, dtype=np.int64), ("", ""))
    entry = Entry("random", track_content(track), race.fingerprint, ({"git_commit": "abc"},), 0.1, (), "")
    write_entry(tmp_path / "x", entry, columns_of(stored, 500))
    assert read_entry(tmp_path / "x") == entry
    assert check(tmp_path / "x").not_rerun == ""
    scores[1, 7] = scores[0, 7] + 1
    write_entry(tmp_path / "y", entry, columns_of(stored, 500))
    refused(tmp_path / "y", "seed 1: query 8 has the score")
