"""One run: budget, direction, early ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.races.race import Race
from experiments.races.runner import run_group, run_once
from nasbench_ar import Architecture, SearchError, Table
from searchers import Searcher, trajectory
from searchers.published.lockstep import LockStep
from tests.experiments.conftest import SPACE, write_table


class Repeater(Searcher):
    """Proposes three architectures in turn, for ever."""

    def _ask(self) -> Architecture:
        self.turn = getattr(self, "turn", -1) + 1
        return SPACE.from_index(self.turn % 3)


class Stutterer(LockStep):
    """Proposes every architecture 40 times."""

    def _ask(self) -> Architecture:
        self.turn = getattr(self, "turn", -1) + 1
        return SPACE.from_index(self.turn // 40)


class Dreamer(Searcher):
    """Reports what it never queried."""

    def _ask(self) -> Architecture:
        return self.sample_unseen()

    def best(self) -> tuple[Architecture, float]:
        return next(a for a in map(SPACE.from_index, range(SPACE.size)) if a not in self.history), 0.0


def race(table: Table, **changes: object) -> Race:
    settings = {"objective": "val_pgd_acc", "queries": 30, "searcher": "searchers.random_search.RandomSearch"}
    return Race(table=str(table.folder), **(settings | changes))  # type: ignore[arg-type]


def test_a_run_has_its_budget_of_unique_queries(table: Table) -> None:
    run = run_once(race(table), 3)
    assert len(set(run.arch_index.tolist())) == len(run.scores) == 30
    assert run.seed == 3
    assert run.ended == ""
    column = np.asarray(table.scalar("val_pgd_acc"))
    np.testing.assert_array_equal(run.scores, column[run.arch_index].astype(np.float32))
    assert run.reported == run.arch_index[run.scores.argmax()]


def test_a_loss_is_minimised(table: Table) -> None:
    run = run_once(race(table, objective="val_loss", queries=81), 0)
    assert run.reported == np.asarray(table.scalar("val_loss")).argmin()
    assert run.scores.min() > 0


def test_repeats_are_free_and_counted(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "STALL_LIMIT", 50)
    run = run_once(race(table, searcher=f"{__name__}.Repeater"), 0)
    assert run.arch_index.tolist() == [0, 1, 2]
    assert run.repeats == 49
    assert run.ended == "nothing new was proposed 50 times in a row after 3 queries and 49 repeats"


def test_only_repeats_in_a_row_stop_a_run(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "STALL_LIMIT", 50)
    stutterers = race(table, searcher=f"{__name__}.Stutterer", queries=5)
    for run in (run_once(stutterers, 0), *run_group(stutterers, [0, 1])):
        assert run.arch_index.tolist() == [0, 1, 2, 3, 4]
        assert (run.ended, run.repeats) == ("", 4 * 39)


def test_a_run_recommends_what_it_has_queried(table: Table) -> None:
    with pytest.raises(SearchError, match="Dreamer recommends .*, which it never queried"):
        run_once(race(table, searcher=f"{__name__}.Dreamer"), 0)


def test_an_exhausted_space_ends_the_run(tmp_path: Path) -> None:
    partial = write_table(tmp_path / "partial", absent=tuple(range(60)))
    run = run_once(race(partial, queries=30), 0)
    assert sorted(run.arch_index.tolist()) == list(range(60, 81))
    assert run.ended == "every architecture of the space was queried after 21 queries"


def test_direction_is_turned_once(table: Table) -> None:
    """The loss falls strictly as the accuracy rises, so a searcher of ranks goes the same way."""
    settings = {"searcher": "searchers.regularized_evolution.RegularizedEvolution", "queries": 60}
    by_accuracy, by_loss = (run_once(race(table, objective=o, **settings), 1) for o in ("val_pgd_acc", "val_loss"))
    np.testing.assert_array_equal(by_accuracy.arch_index, by_loss.arch_index)
    assert by_accuracy.reported == by_loss.reported


def test_wrong_arguments_are_named(table: Table) -> None:
    with pytest.raises(SearchError, match="RandomSearch cannot be built with .*speed"):
        run_once(race(table, arguments={"speed": 3}), 0)
