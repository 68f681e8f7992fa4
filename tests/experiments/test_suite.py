"""`python -m experiments.suite`, end to end on two small tables, one of them with categories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import suite
from experiments.races.suite import load_suite
from experiments.results.read import read
from nasbench_ar import ConfigError, Metric, Table, TableWriter
from tests.experiments.conftest import Command


@pytest.fixture
def categories(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [(a, b, c, rng.random()) for a in "xyz" for b in "pqrs" for c in range(6)]
    return TableWriter.from_frame(
        pd.DataFrame(rows, columns=["a", "b", "c", "val_mse"]),
        tmp_path / "categories",
        entries=["a", "b", "c"],
        metrics=[Metric("val_mse", "Val MSE", "val", "", False, "made up", searchable=True)],
        name="categories",
        title="made up",
        provenance="a test",
        licence="none",
    )


@pytest.fixture
def tasks(tmp_path: Path, table: Table, categories: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"- {{task: one, family: first, use: tuning, table: {table.folder}}}\n"
        f"- {{task: two, family: second, use: tuning, table: {categories}}}\n"
        f"- {{task: three, family: second, use: report, table: {categories}}}\n"
    )
    return path


@pytest.mark.usefixtures("real_pictures")
def test_a_suite(tasks: Path, tmp_path: Path, command: Command) -> None:
    words = [f"suite={tasks}", "runs=3", "queries=50", "jobs=1", f"out={tmp_path}"]
    out, _ = command.passes(suite.main, *words)
    folder = tmp_path / "suite"
    assert {path.name for path in folder.iterdir()} == {
        "one",
        "two",
        *(f"tuning.{e}" for e in ("md", "csv", "png", "pdf")),
    }
    assert (folder / "tuning.md").read_text() in out
    assert "Suite, tuning tasks: 2 of 2 families, 3 runs" in out
    assert {path.name for path in (folder / "two").iterdir()} == set(suite.EVERYONE)
    stored = read(folder / "two/bananas")
    regret = stored.runs.scores - stored.oracle.optimum("val_mse")[1]
    best = np.minimum.accumulate(regret, axis=1)
    unit = np.median(stored.oracle.column("val_mse")) - stored.oracle.optimum("val_mse")[1]
    area = np.minimum(best / unit, 1).mean()
    line = next(line for line in (folder / "tuning.csv").read_text().splitlines() if ",two,bananas," in line)
    assert float(line.split(",")[6]) == pytest.approx(area, rel=1e-6)

    again, err = command.passes(suite.main, *words, "searcher=random_search", "name=mine")
    assert "mine: " in err
    assert "| mine " in again
    for name in ("one", "two"):
        (folder / name / "partial").mkdir()
    (folder / "one/partial/config.yaml").write_text("")
    _, err = command.passes(suite.main, *words, "searcher=random_search")
    assert "partial: left out, for want of runs of some tasks" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["use=both"], "use='both': expected tuning or report"),
        (["table=x"], "the tasks say it"),
        (["queries=49"], "queries=49: the smallest budget that is compared is 50"),
        (["name=x"], "name= is one searcher's name"),
        (["colour=red"], "colour"),
        (["searcher=all", "searcher=random_search"], "searcher=all names every searcher; name one, or none"),
        (["searcher=nobody"], "unknown searcher 'nobody'"),
        (["suite=nowhere.yaml"], "cannot read the suite 'nowhere.yaml'"),
    ],
)
def test_errors(words: list[str], message: str, tasks: Path, tmp_path: Path, command: Command) -> None:
    given = [] if any(word.startswith("suite=") for word in words) else [f"suite={tasks}"]
    assert message in command.fails(suite.main, *given, f"out={tmp_path}", *words)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("5", "expected a list of tasks"),
        ("- 5", "task 1: expected keys and values"),
        ("- {task: a, family: b, use: tuning}", "task 1: table is missing"),
        ("- {task: a/b, family: b, use: tuning, table: t}", "cannot name a folder"),
        ("- {task: a, family: b, use: both, table: t}", "use: 'both': expected tuning or report"),
        ("- {task: a, family: b, use: report, table: t, noise: query}", "noise: 'query': expected none or run"),
        ("- {task: a, family: b, use: report, table: t, objective: 'x,y'}", "a task has one objective"),
        ("- {task: a, family: b, use: report, table: t, colour: x}", "colour"),
        (
            "- {task: a, family: b, use: report, table: t, noise: run, images: 0}",
            "task 1: images=0: expected an integer",
        ),
        (2 * "- {task: a, family: b, use: report, table: t}\n", "task 2: task: a is there twice"),
        ("- {", "cannot read the suite"),
        ("- task: a\n  use: report\n  use: tuning\n", "'use' is there twice, in lines 2 and 3; keep one"),
    ],
)
def test_bad_files(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_suite(str(path))


def test_the_toolkits_suite() -> None:
    tasks = load_suite()
    tuning = {task.task for task in tasks if task.use == "tuning"}
    assert tuning == {"nares-figures", "digits-729", "nasbench201-cifar10", "hpobench-car", "hpobench-phoneme"}
    report: dict[str, Any] = {}
    for task in tasks:
        if task.use == "report":
            report.setdefault(task.family, []).append(task)
            assert (task.table, task.objective, task.noise) not in [
                (t.table, t.objective, t.noise) for t in tasks if t.use == "tuning"
            ]
    assert {family: len(found) for family, found in report.items()} == {
        "NAS-Bench-201": 2,
        "HPOBench": 6,
        "HPOLib": 4,
        "NARes": 3,
    }
