"""Searchers that stop themselves, runs in lock-step, and what a stored result depends on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from experiments import run
from experiments.races import provenance
from experiments.races.race import Race, open_session
from experiments.races.runner import run_group, run_once
from experiments.results.published import OBJECTIVE_ROW, QUERIES, TABLE2, published_column
from nasbench_ar import NARES, Architecture, SearchFinishedError, Table
from searchers import ALL_SEARCHERS, PUBLISHED, RandomSearch, Searcher, trajectory
from searchers.published.lockstep import LockStep
from tests.experiments.conftest import SPACE, Command, write_table

QUICK = {"epochs": 2, "layers": 2, "width": 8, "members": 2, "device": "cpu"}
BANANAS = "searchers.published.bananas.PublishedBananas"
LOCAL = "searchers.published.local_search.PublishedLocalSearch"


class Quitter(RandomSearch):
    """Gives up without having announced that it stops itself."""

    def _ask(self) -> Architecture:
        if len(self.history) == 5:
            raise SearchFinishedError("five are enough")
        return super()._ask()


class Pair(RandomSearch, LockStep):
    """Counts how often it is prepared, proposes pairs, and stops after `queries` rounded up to pairs."""

    stops_itself = True
    prepared: list[list[int]] = []  # reset by the test

    def __init__(self, space: object, seed: int, *, queries: int) -> None:
        super().__init__(space, seed)  # type: ignore[arg-type]
        self.queries = queries

    def _ask(self) -> list[Architecture]:  # type: ignore[override]
        if len(self.history) >= self.queries + self.seed:
            raise SearchFinishedError("enough")
        return self.sample_unseen_batch(2)

    @classmethod
    def prepare_together(cls, searchers: Sequence[Searcher]) -> None:
        cls.prepared.append([searcher.seed for searcher in searchers])


class Together(RandomSearch, LockStep):
    """Has nothing to prepare."""


class Early(Pair):
    """Decides after four queries that it has seen enough."""

    def _ask(self) -> list[Architecture]:  # type: ignore[override]
        if len(self.history) == 4:
            raise SearchFinishedError("four will do")
        return self.sample_unseen_batch(2)


class Stuck(Pair):
    """Proposes what is known."""

    def _ask(self) -> list[Architecture]:
        return [SPACE.from_index(k) for k in range(2)]


def race(table: Table, **changes: object) -> Race:
    settings = {"objective": "val_pgd_acc", "queries": 30, "searcher": f"{__name__}.Pair"}
    return Race(table=str(table.folder), **(settings | changes))  # type: ignore[arg-type]


def test_a_searcher_that_stops_itself_has_no_limit(table: Table) -> None:
    assert open_session(race(table)).budget == 81
    assert open_session(race(table, searcher=f"{__name__}.Quitter")).budget == 30
    runs = [run_once(race(table, searcher=LOCAL, arguments={"starts": 3}), seed) for seed in range(20)]
    for found in runs:
        assert len(found.scores) >= 30
        assert not found.ended or len(found.scores) == 81
        last = np.flatnonzero(found.scores == found.scores.max())[-1]
        assert found.reported == found.arch_index[last]
    assert max(len(found.scores) for found in runs) > 30


def test_a_searcher_that_stops_unannounced_has_ended_early(table: Table) -> None:
    found = run_once(race(table, searcher=f"{__name__}.Quitter"), 0)
    assert (len(found.scores), found.ended) == (5, "five are enough")


def test_groups_advance_together_and_leave_when_done(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pair, "prepared", [])
    spent: list[int] = []
    runs = run_group(race(table, queries=3), [0, 2, 1], spent.append)
    assert [found.seed for found in runs] == [0, 2, 1]
    assert [len(found.scores) for found in runs] == [4, 6, 4]
    assert [found.ended for found in runs] == ["", "", ""]
    assert Pair.prepared == [[0, 2, 1], [0, 2, 1], [0, 2, 1], [2]]
    assert spent == [2, 4, 4, 4]
    for found in runs:
        alone = run_once(race(table, queries=3), found.seed)
        np.testing.assert_array_equal(found.arch_index, alone.arch_index)
        assert found.reported == alone.reported


def test_a_group_ends_with_the_space(tmp_path: Path) -> None:
    partial = write_table(tmp_path / "partial", absent=tuple(range(60)))
    (found,) = run_group(race(partial, queries=81), [0])
    assert sorted(found.arch_index.tolist()) == list(range(60, 81))
    assert found.ended == "every architecture of the space was queried after 21 queries"
    whole = race(partial, searcher=f"{__name__}.Together", queries=21)
    assert run_group(whole, [0])[0].ended == ""


def test_a_group_that_repeats_itself_is_stopped(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "STALL_LIMIT", 5)
    (found,) = run_group(race(table, searcher=f"{__name__}.Stuck"), [0])
    assert found.ended == "nothing new was proposed 5 batches in a row after 2 queries and 10 repeats"


def test_published_bananas_from_the_command_line(table: Table, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "results"
    words = [f"table={table.folder}", f"out={out}", "queries=30", "jobs=1", "searcher=published_bananas"]
    words += [f"searcher.{key}={value}" for key, value in QUICK.items()]
    text, err = command.passes(run.main, *words, "runs=2")
    assert "lock-step groups of up to 2 runs: 1, 1 at a time" in err
    assert "published_bananas: 2 runs of 30 queries" in text
    stored = {path.name: path.read_bytes() for path in (out / "small/published_bananas/runs").iterdir()}
    assert sorted(stored) == ["seed-000000.npz", "seed-000001.npz"]
    err = command.passes(run.main, *words, "runs=4")[1]
    assert "2 runs are stored in" in err
    again = {path.name: path.read_bytes() for path in (out / "small/published_bananas/runs").iterdir()}
    assert len(again) == 4
    assert stored.items() <= again.items()
    alone = run_once(race(table, searcher=BANANAS, arguments=QUICK), 3)
    with np.load(out / "small/published_bananas/runs/seed-000003.npz") as pack:
        np.testing.assert_array_equal(pack["arch_index"], alone.arch_index)


def test_overruns_are_reported(table: Table, tmp_path: Path, command: Command) -> None:
    words = [f"table={table.folder}", f"out={tmp_path}", "queries=20", "jobs=1", "runs=10"]
    text = command.passes(run.main, *words, "searcher=published_local_search")[0]
    pack = np.load(tmp_path / "small/published_local_search/trajectories.npz")
    spent = (pack["arch_index"] >= 0).sum(axis=1)
    assert f"Queries of a run: {spent.min()} to {spent.max()}, mean {spent.mean():.1f}; 20 were allowed." in text
    assert (tmp_path / "small/published_local_search/trajectory.png").exists()
    _, text, _ = command(run.main, *words, "searcher=published_random_search")
    assert "Queries of a run" not in text


def test_the_budget_is_no_argument_of_a_published_searcher(table: Table, command: Command) -> None:
    assert "has no argument 'queries'" in command.fails(
        run.main, f"table={table.folder}", "searcher=published_local_search", "searcher.queries=3"
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_searchers_stand_beside_the_printed_column(name: str) -> None:
    column = published_column(name, space=NARES, objective_row=OBJECTIVE_ROW, queries=QUERIES)
    assert column == TABLE2[name.removeprefix("published_")]


def test_digest_covers_what_a_searcher_imports_and_no_other() -> None:
    sources = provenance._sources(ALL_SEARCHERS["published_bananas"])
    assert set(sources) == {
        "searchers.base",
        "searchers.published.base",
        "searchers.published.bananas",
        "searchers.published.batched_mlp",  # imported in a function only
        "searchers.published.lockstep",
        "searchers.published.sampling",
    }
    assert all(path.is_file() for path in sources.values())
    digests = {provenance.source_digest(cls) for cls in ALL_SEARCHERS.values()}
    assert len(digests) == len(ALL_SEARCHERS)


def test_digest_of_a_users_searcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "mine.py"

    def digest(text: str) -> str:
        source.write_text(text)
        module = ModuleType("mine")
        module.__file__ = str(source)
        exec(compile(text, str(source), "exec"), module.__dict__)
        monkeypatch.setitem(sys.modules, "mine", module)
        return provenance.source_digest(module.Mine)

    plain = "import json, searchers.base\nclass Mine(searchers.base.Searcher): pass\n"
    assert digest(plain) == digest(plain)
    assert digest(plain) != digest(plain + "# changed\n")
    whole = "from searchers import Searcher\nclass Mine(Searcher): pass\n"
    digest(whole)
    assert "searchers.bananas" in provenance._sources(sys.modules["mine"].Mine)


def test_a_searcher_that_stops_before_its_budget_says_why(table: Table) -> None:
    run = run_once(race(table, searcher=f"{__name__}.Early"), 0)
    assert (len(run.arch_index), run.ended) == (4, "four will do")
