"""Who is told apart, and what stands beside: by hand, by brute force and by exact laws."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments import run
from experiments.races.track import Track
from experiments.results.read import read
from experiments.results.track import Entrant, entrant, outcome, places, references, scored_anew
from experiments.results.track_text import as_text, overview
from experiments.statistics.additive import fit_additive
from nasbench_ar import MetricError, Oracle, Table
from nasbench_ar.arrays import FloatArray
from tests.experiments.conftest import SPACE, Command, judged_values, table_writer
from tests.experiments.test_run import words

RNG = np.random.default_rng(8)
SEEDS = np.arange(30)
BASE = RNG.normal(50, 1, 30)
SAME = BASE + np.where(np.arange(30) % 2, 0.01, -0.01)


def entrants(*values: FloatArray) -> list[Entrant]:
    return [Entrant(name, SEEDS[: len(one)], one) for name, one in zip("abcd", values, strict=False)]


def test_entrants_that_are_not_told_apart_share_a_rank() -> None:
    found, told_apart, pairs = places(entrants(BASE, SAME, BASE + 1), maximize=True)
    assert [(place.entrant.name, place.rank, place.better) for place in found] == [
        ("c", 1, ()),
        *sorted(
            [("a", 2, ("c",)), ("b", 2, ("c",))], key=lambda place: -{"a": BASE.mean(), "b": SAME.mean()}[place[0]]
        ),
    ]
    assert (told_apart, pairs) == (2, 3)
    found, _, _ = places(entrants(BASE, SAME, BASE + 1), maximize=False)
    assert [place.rank for place in found] == [1, 1, 3]
    assert found[2].entrant.name == "c"
    assert set(found[2].better) == {"a", "b"}


def test_a_stricter_level_tells_fewer_apart() -> None:
    few = entrants(BASE[:6], BASE[:6] + 1)
    p_value = stats.wilcoxon(BASE[:6], BASE[:6] + 1, zero_method="pratt", method="asymptotic").pvalue
    assert 0.01 < p_value < 0.05
    assert places(few, maximize=True)[1] == 1
    assert places(few, maximize=True, level=0.01)[1] == 0


def test_pairs_are_of_equal_seeds() -> None:
    """`b` has other seeds in another order of values: only the common ones count."""
    a, b = Entrant("a", SEEDS[:20], BASE[:20]), Entrant("b", SEEDS[10:], np.append(BASE[10:20] + 1, np.full(10, 0.0)))
    found, told_apart, _ = places([a, b], maximize=True)
    assert told_apart == 1
    assert next(place for place in found if place.entrant.name == "a").better == ("b",)


def test_few_values_have_no_rank() -> None:
    few = np.where(np.arange(30) < 14, BASE + 9, np.nan)
    found, told_apart, pairs = places(entrants(BASE, few, np.full(30, np.nan)), maximize=True)
    assert [(place.entrant.name, place.rank) for place in found] == [("a", 1), ("b", None), ("c", None)]
    assert (told_apart, pairs) == (0, 0)


def test_networks_that_tie_by_the_objective_are_averaged(tmp_path: Path) -> None:
    def grouped(values: FloatArray) -> FloatArray:
        return np.minimum(values, np.sort(values)[-3])

    oracle = Oracle(made_up_table(tmp_path / "t", grouped))
    val, test = oracle.column("val_pgd_acc"), oracle.column("test_pgd_acc")
    tied = test[val == val.max()]
    assert len(tied) == 3
    line = references(track(judge="test_pgd_acc"), oracle, "val_pgd_acc", "test_pgd_acc")[1]
    assert (line.name, line.mean, line.std) == (
        "best by the objective",
        pytest.approx(tied.mean()),
        pytest.approx(tied.std(ddof=1)),
    )


def made_up_table(folder: Path, change: Callable[[FloatArray], FloatArray] = lambda values: values) -> Table:
    rng = np.random.default_rng(3)
    val, test = change(rng.uniform(30, 60, SPACE.size)), rng.uniform(40, 70, SPACE.size)
    with table_writer(folder, "made-up") as writer:
        for index in range(SPACE.size):
            scalars = {"val_pgd_acc": val[index], "val_loss": 3 - val[index] / 30, "test_pgd_acc": test[index]}
            writer.add(SPACE.from_index(index), seed=0, scalars=scalars)
    return Table(folder)


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    return Oracle(made_up_table(tmp_path / "t"))


def track(**said: object) -> Track:
    return Track(**{"name": "t", "about": "A.", "table": "made-up", "queries": 2} | said)  # type: ignore[arg-type]


def test_lines_of_reference_by_brute_force(oracle: Oracle) -> None:
    limit = float(np.sort(oracle.column("macs"))[5])
    members = np.flatnonzero(oracle.column("macs") <= limit)
    val, test = oracle.column("val_pgd_acc"), oracle.column("test_pgd_acc")
    said = track(constraint=f"macs<={limit:.12g}", judge="test_pgd_acc", images=1000)
    by_name = {line.name: line for line in references(said, oracle, "val_pgd_acc", "test_pgd_acc")}
    assert next(iter(by_name)) == "best possible"
    assert by_name["best possible"].mean == test[members].max()
    assert by_name["best by the objective"].mean == test[members[val[members].argmax()]]
    drawn = [test[max(pair, key=lambda index: val[index])] for pair in itertools.combinations(members.tolist(), 2)]
    assert by_name["random search, exact"].mean == pytest.approx(np.mean(drawn))
    assert by_name["random search, exact"].std == pytest.approx(np.std(drawn))
    assert by_name["one of the 6 largest"].mean == pytest.approx(test[members].mean()), "there are fewer than 50"
    assert [name for name in by_name if name.startswith("noise ceiling")]
    assert np.isnan(by_name["best by the objective"].std)
    lower = references(track(), oracle, "val_loss", "val_loss")
    assert lower[0].mean == oracle.column("val_loss").min()
    assert not [line for line in lower if "ceiling" in line.name], "searches see what decides"


def test_the_noise_ceiling_is_the_expectation_over_all_images(oracle: Oracle) -> None:
    """Three architectures, five images: every outcome, with its probability."""
    members = np.array([4, 20, 60], dtype=np.int32)
    rates, judged = oracle.column("val_pgd_acc")[members] / 100, oracle.column("test_pgd_acc")
    exact = variance = 0.0
    for counts in itertools.product(range(6), repeat=3):
        probability = float(np.prod(stats.binom.pmf(counts, 5, rates)))
        exact += probability * judged[members[int(np.argmax(counts))]]
        variance += probability * judged[members[int(np.argmax(counts))]] ** 2
    variance -= exact**2
    found = scored_anew(oracle, "val_pgd_acc", members, judged, images=5)["observed"]
    assert found.mean == pytest.approx(exact, abs=4 * np.sqrt(variance / found.known))
    everyone = np.arange(SPACE.size, dtype=np.int32)
    sure = scored_anew(oracle, "val_pgd_acc", everyone, judged, images=10**9)
    best = judged[oracle.column("val_pgd_acc").argmax()]
    assert (sure["observed"].mean, sure["model"].mean) == pytest.approx((best, best)), "no noise, no doubt"
    fit = fit_additive(SPACE.one_hot(indices=everyone).astype(np.float64), oracle.column("val_pgd_acc"))
    by_effects = judged[fit.predict(SPACE.one_hot(indices=everyone).astype(np.float64)).argmax()]
    assert sure["effects"].mean == pytest.approx(by_effects)
    assert scored_anew(oracle, "val_loss", everyone, judged, images=5) == {}
    assert scored_anew(oracle, "val_pgd_acc", everyone, judged) == {}, "the table does not tell its images"


def test_lines_say_how_often_the_judge_has_a_value(tmp_path: Path) -> None:
    """Of the four smallest networks, only the best by the objective has no test value."""
    space = made_up_table(tmp_path / "whole").space
    order = np.argsort(space.macs_many(indices=np.arange(space.size)), kind="stable")
    with table_writer(tmp_path / "t", "partly") as writer:
        for place, index in enumerate(order.tolist()):
            test = {} if place == 3 else {"test_pgd_acc": 50.0 + place % 4}
            writer.add(space.from_index(index), seed=0, scalars={"val_pgd_acc": 30.0 + place % 4, **test})
    oracle = Oracle(Table(tmp_path / "t"))
    limit = float(np.sort(oracle.column("macs"))[3])
    said = track(constraint=f"macs<={limit:.12g}", judge="test_pgd_acc", images=10**9)
    found = outcome(said, oracle, entrants(BASE))
    lines = {line.name: (line.mean, line.share) for line in found.references}
    assert lines["one of the 4 largest"] == (51.0, 0.75)
    assert lines["random search, exact"] == pytest.approx((5 / 3 + 50, 1 / 2)), "of two draws, the best is not the best"
    assert lines["best by the objective"] == pytest.approx((np.nan, 0), nan_ok=True)
    assert lines["noise ceiling (observed)"] == pytest.approx((np.nan, 0), nan_ok=True)
    text, table = as_text(found), overview([found])
    assert "51.00 ± 0.82 [75.0 %]" in text
    assert "51.67 ± 0.47 [50.0 %]" in text
    assert "| 53.00 " not in table
    assert "| 52.00 | – [0.0 %] | 51.00 [75.0 %] |" in " ".join(table.split())


def test_one_network_that_may_be_chosen_is_the_largest(oracle: Oracle) -> None:
    limit = float(oracle.column("macs").min())
    found = outcome(track(constraint=f"macs<={limit:.12g}", queries=1), oracle, entrants(BASE))
    assert "the largest, the only network that may be chosen" in as_text(found)
    assert overview([found]).count(f"{oracle.column('val_pgd_acc')[oracle.column('macs').argmin()]:.2f}") == 2


def test_a_judge_without_values_within_the_limits_is_refused(tmp_path: Path) -> None:
    with table_writer(tmp_path / "t", "half") as writer:
        for index in range(SPACE.size):
            architecture = SPACE.from_index(index)
            scalars = {"val_pgd_acc": 40.0 + index / 10}
            if index > 40:
                scalars["test_pgd_acc"] = 50.0
            writer.add(architecture, seed=0, scalars=scalars)
    oracle = Oracle(Table(tmp_path / "t"))
    smallest = float(oracle.column("macs").min())
    said = track(constraint=f"macs<={smallest:.12g}", judge="test_pgd_acc")
    with pytest.raises(MetricError, match="of which the table has no value within the limits"):
        outcome(said, oracle, entrants(BASE))
    with pytest.raises(MetricError, match="judged by test_aa_acc, which is not in table half"):
        outcome(track(judge="test_aa_acc"), oracle, entrants(BASE))


@pytest.mark.parametrize("objective", ["val_pgd_acc", "val_loss"])
def test_runs_that_recommend_what_the_judge_does_not_know(objective: str, tmp_path: Path, command: Command) -> None:
    """They count by the best of their queries that it knows: nothing is gained by such a recommendation."""
    rng = np.random.default_rng(5)
    with table_writer(tmp_path / "t", "partly") as writer:
        for index in range(SPACE.size):
            value = round(rng.uniform(30, 60))  # some tie
            known = {"test_pgd_acc": rng.uniform(40, 70)} if rng.random() < 0.7 else {}
            writer.add(
                SPACE.from_index(index), seed=0, scalars={"val_pgd_acc": value, "val_loss": 90.0 - value, **known}
            )
    asked = words(Table(tmp_path / "t"), tmp_path, "runs=40", "queries=8", f"objective={objective}")
    assert command(run.main, *asked)[0] == 0
    stored = read(tmp_path / "partly" / "random_search")
    judge = stored.oracle.column("test_pgd_acc")
    said = track(objective=objective, judge="test_pgd_acc", queries=6)
    race = replace(stored.race, queries=6)
    found = entrant(said, "a", stored.oracle, race, stored.runs)
    assert found.values.tolist() == judged_values(stored.oracle, race, stored.runs, "test_pgd_acc")
    unknown = np.isnan(judge[stored.runs.incumbent[:, 5]])
    assert 5 < unknown.sum() < 20
    assert found.spread.known == 40 - unknown.sum()
    text = as_text(outcome(said, stored.oracle, [found]))
    assert f"[{found.spread.known}]" in text
    never = np.full_like(stored.runs.incumbent, np.flatnonzero(np.isnan(judge))[0])
    hidden = entrant(said, "a", stored.oracle, race, replace(stored.runs, incumbent=never))
    assert np.isnan(hidden.values).all(), "who never recommends what the judge knows has no rank"
