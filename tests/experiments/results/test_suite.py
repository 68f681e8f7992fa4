"""Areas and their aggregate by hand, by brute force, and intervals by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.plots.suite import draw_suite
from experiments.races.suite import Task
from experiments.results.suite import SuiteScores, TaskScores, capped_areas, suite_scores
from experiments.results.suite_text import as_csv, as_text
from experiments.results.targets import Reached, Target
from nasbench_ar.arrays import FloatArray


def scores_of(name: str, family: str, areas: FloatArray, cpu: tuple[float, ...] = (1.0, 2.0)) -> TaskScores:
    task = Task(name, family, "report", "t")
    target = Target("best 1 %", 0.01, 3, 1.0)
    found = (Reached("a", target, 4, 2, 71.5), Reached("b", target, 4, 0, np.inf))
    return TaskScores(task, np.arange(areas.shape[1]), areas, found, np.array(cpu))


def test_areas_by_hand() -> None:
    regret = np.array([[4.0, 1.0, 0.0, 0.0], [9e9, 9e9, 2.0, 1.0]])
    assert capped_areas(regret, 2.0, [1, 2, 4]).tolist() == [[1.0, 0.75, 0.375], [1.0, 1.0, 0.875]]
    assert capped_areas(regret, 0.0, [4]).tolist() == [[0.5], [1.0]], "the better half is all equal"


@pytest.fixture
def three() -> list[TaskScores]:
    rng = np.random.default_rng(0)
    return [
        scores_of("x", "one", rng.random((2, 6, 2))),
        scores_of("y", "two", rng.random((2, 5, 2)) + 1),
        scores_of("z", "two", rng.random((2, 7, 2)) + 2),
    ]


def test_families_count_equally(three: list[TaskScores]) -> None:
    found = suite_scores("report", ["a", "b"], three, (50, 100))
    x, y, z = (one.areas.mean(axis=1) for one in three)
    area = (x + (y + z) / 2) / 2
    order = np.argsort(area[:, 1])
    assert found.area == pytest.approx(area[order])
    assert found.names == tuple(np.array(["a", "b"])[order])
    assert found.by_family[:, 1] == pytest.approx(((y + z) / 2)[order])
    assert found.behind == pytest.approx(area[order] - area.min(axis=0))
    assert found.families == ("one", "two")
    assert [one.areas[0].tolist() for one in found.tasks] == [one.areas[order[0]].tolist() for one in three]
    assert (found.interval[..., 0] < found.area).all()
    assert (found.area < found.interval[..., 1]).all()


def test_the_bootstrap_equals_a_loop(three: list[TaskScores]) -> None:
    """Quantiles of the same scheme, drawn by another generator."""
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(20_000):
        families = []
        for tasks in ([three[0]], three[1:]):
            picked = [tasks[k] for k in rng.integers(len(tasks), size=len(tasks))]
            families.append(
                np.mean(
                    [t.areas[:, rng.integers(t.areas.shape[1], size=t.areas.shape[1])].mean(axis=1) for t in picked],
                    axis=0,
                )
            )
        drawn.append(np.mean(families, axis=0))
    found = suite_scores("report", ["a", "b"], three, (50, 100))
    order = [("a", "b").index(name) for name in found.names]
    expected = np.moveaxis(np.quantile(drawn, (0.025, 0.975), axis=0), 0, -1)[order]
    assert found.interval == pytest.approx(expected, abs=0.03)


def test_one_run_says_nothing_of_its_spread(three: list[TaskScores]) -> None:
    one = [replace(task, seeds=task.seeds[:1], areas=task.areas[:, :1]) for task in three]
    scores = suite_scores("report", ["a", "b"], one, (50, 100))
    assert not np.isnan(scores.area).any()
    assert np.isnan(scores.interval).all()
    assert np.isnan(scores.behind_interval).all()


def test_differences_are_paired() -> None:
    """Two searchers apart by a constant, on seeds and tasks that differ widely: no doubt is left."""
    rng = np.random.default_rng(2)
    tasks = []
    for k in range(6):
        noise = rng.random((1, 9, 1)) + 5 * k
        tasks.append(scores_of(f"t{k}", f"f{k % 2}", np.concatenate([noise, noise + 0.25])))
    found = suite_scores("report", ["a", "b"], tasks, (50,))
    assert found.names == ("a", "b")
    assert found.behind_interval[1, 0] == pytest.approx([0.25, 0.25])
    assert np.ptp(found.interval[0, 0]) > 1


def test_words_csv_and_picture(three: list[TaskScores]) -> None:
    found: SuiteScores = suite_scores("report", ["a", "b"], three, (50, 100))
    text = as_text(found)
    assert text.startswith("Suite, report tasks: 3 of 2 families, 5 to 7 runs of a searcher on each\n")
    k = found.names.index("b")
    low, high = found.interval[k, 0]
    assert f"{found.area[k, 0]:.3f} ({low:.3f} to {high:.3f})" in text
    header, *lines = as_csv(found).splitlines()
    assert len(lines) == 3 * 2 * 2 + 2 * 2 * (2 + 1)
    whole = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines[-1:]]
    assert float(whole[0]["area"]) == pytest.approx(found.area[-1, 1])
    reached = text[text.index("Expected queries to the best 1 %") :]
    cells = [cell.strip() for cell in reached.splitlines()[4].strip("|").split("|")]
    assert cells == ["x", *("72" if name == "a" else "–" for name in found.names), "–"]
    axes = draw_suite(found)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(found.names)
    assert axes.get_xscale() == "log"
