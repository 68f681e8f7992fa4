"""Limits: how they are read, what they leave out, what they charge; and sessions of several metrics."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_ar import ConfigError, MetricError, MissingEntryError, Oracle, parse_constraints
from nasbench_ar.constraints import Constraint, violation
from nasbench_ar.errors import BudgetExhaustedError, SpaceError


def test_reading() -> None:
    first, second = parse_constraints("macs<=10e9, val_pgd_acc >= 37.5")
    assert (first.metric, first.relation, first.limit, first.known_cost) == ("macs", "<=", 1e10, True)
    assert (str(second), second.known_cost) == ("val_pgd_acc>=37.5", False)
    assert parse_constraints(map(str, (first, second))) == (first, second)  # type: ignore[arg-type]
    assert parse_constraints(None) == ()
    assert parse_constraints("training_time_gpu_days<=2")[0].metric == "training_time_gpu_days"


@pytest.mark.parametrize("text", ["macs<10", "macs<=", "<=3", "macs==3", "macs<=1.2.3", "macs<=x", "", "macs<=1e999"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected metric<=number or metric>=number"):
        parse_constraints(text)


@given(limit=st.floats(allow_nan=False, allow_infinity=False))
def test_a_limit_is_written_to_the_last_bit(limit: float) -> None:
    assert parse_constraints(str(Constraint("macs", "<=", limit)))[0].limit == limit


def test_violation_by_hand() -> None:
    limits = parse_constraints("macs<=10,val_pgd_acc>=30")
    columns = [np.array([5.0, 12.0, 14.0, 10.0]), np.array([30.0, 31.0, 20.0, 25.0])]
    # shares of the largest excess: macs 0, 1/2, 1, 0; accuracy 0, 0, 1, 1/2
    np.testing.assert_allclose(violation(limits, columns), [0, 0.25, 1.0, 0.25])


def test_a_known_cost_restricts_the_space(toy: Oracle) -> None:
    macs = toy.column("macs")
    limit = float(np.median(macs))
    session = toy.session(budget=16, constraints=parse_constraints(f"macs<={limit}"))
    everything = toy.session(budget=16).space
    assert set(session.space) == {a for a in everything if toy.space.macs(a) <= limit}
    assert 0 < session.space.size < everything.size
    beyond = next(a for a in everything if toy.space.macs(a) > limit)
    with pytest.raises(SpaceError):
        session.score(beyond)
    assert session.spent == 0
    inside = next(iter(session.space))
    assert session.score(inside) == toy.query(inside, "val_pgd_acc")
    assert session.feasible(inside)
    with pytest.raises(ConfigError, match=r"no architecture .* keeps macs<=1: macs is"):
        toy.session(budget=3, constraints=parse_constraints("macs<=1"))


def test_a_measured_limit_charges_and_ranks_below(toy: Oracle) -> None:
    clean = toy.column("val_clean_acc")
    limit = float(np.sort(clean[~np.isnan(clean)])[8])
    session = toy.session(budget=15, constraints=parse_constraints(f"val_clean_acc>={limit!r}"))
    scores = {a: session.score(a) for a in session.space}
    assert session.spent == 15
    feasible = [a for a in scores if session.feasible(a)]
    assert {a for a in scores if toy.query(a, "val_clean_acc") >= limit} == set(feasible)
    assert len(feasible) == 7
    for architecture in feasible:
        assert scores[architecture] == toy.query(architecture, "val_pgd_acc")
    beyond = sorted((a for a in scores if a not in feasible), key=lambda a: scores[a])
    assert max(scores[a] for a in beyond) < min(scores[a] for a in feasible)
    values = [toy.query(a, "val_clean_acc") for a in beyond]
    assert values == sorted(values), "the less a limit is broken, the higher the score"
    optimum = toy.optimum("val_pgd_acc", constraints=session.constraints)
    assert session.best() == optimum
    assert optimum[0] in feasible
    assert session.query(beyond[0]) == toy.query(beyond[0], "val_pgd_acc"), "a query tells the value itself"


def test_limits_that_nothing_keeps(toy: Oracle) -> None:
    with pytest.raises(ConfigError, match="loosen a limit"):
        toy.session(budget=3, constraints=parse_constraints("val_clean_acc>=100"))
    with pytest.raises(MissingEntryError, match=r"no value of val_pgd_acc at all where val_clean_acc>=100"):
        toy.optimum("val_pgd_acc", constraints=parse_constraints("val_clean_acc>=100"))


def test_feasibility_has_its_price(toy: Oracle) -> None:
    session = toy.session(budget=3, constraints=parse_constraints("val_clean_acc>=20"))
    with pytest.raises(ConfigError, match="was not queried yet"):
        session.feasible(next(iter(session.space)))


def test_what_is_seen_may_differ_from_what_is(toy: Oracle) -> None:
    session = toy.session(budget=3, observe=lambda index, value: value + index)
    architecture = toy.space.from_index(4)
    assert session.score(architecture) == toy.query(architecture, "val_pgd_acc") + 4


def test_what_is_seen_of_another_kind_cannot_be_ranked_above_what_breaks_a_limit(toy: Oracle) -> None:
    with pytest.raises(ConfigError, match="and observe= do not go together"):
        toy.session(budget=3, observe=lambda index, value: value - 99, constraints="val_clean_acc>=1")


def test_several_objectives(toy: Oracle) -> None:
    session = toy.vector_session(["val_pgd_acc", "macs", "val_loss"], budget=2)
    first, second, third = list(session.space)[:3]
    values = session.query(first)
    assert values == tuple(toy.query(first, name) for name in ("val_pgd_acc", "macs", "val_loss"))
    assert session.score(first) == (values[0], -values[1], -values[2])
    assert (session.spent, session.repeats) == (1, 1)
    session.score(second)
    with pytest.raises(BudgetExhaustedError):
        session.query(third)
    assert session.first_values() == [toy.query(a, "val_pgd_acc") for a in (first, second)]


def test_the_front_of_a_session(toy: Oracle) -> None:
    session = toy.vector_session(["val_pgd_acc", "macs"], budget=15)
    assert session.front() == []
    for architecture in session.space:
        session.query(architecture)
    for architecture in session.space:
        mine = session.score(architecture)
        beaten = any(
            all(x >= y for x, y in zip(session.score(a), mine, strict=True)) and session.score(a) != mine
            for a in session.space
        )
        assert (architecture in session.front()) == (not beaten)


def test_an_infeasible_vector_is_dominated(toy: Oracle) -> None:
    limits = parse_constraints("val_clean_acc>=60")
    session = toy.vector_session(["val_pgd_acc", "macs"], budget=15, constraints=limits)
    scores = {a: session.score(a) for a in session.space}
    good, bad = ([s for a, s in scores.items() if session.feasible(a) == keeps] for keeps in (True, False))
    assert all(max(b[k] for b in bad) < min(g[k] for g in good) for k in range(2))
    assert all(session.feasible(a) for a in session.front())


@pytest.mark.parametrize("names", [["val_pgd_acc"], ["macs", "macs"], "macs,params", [], None, 5])
def test_one_objective_is_no_vector(toy: Oracle, names: list[str]) -> None:
    with pytest.raises(ConfigError, match="expected two or more different metrics"):
        toy.vector_session(names, budget=2)


def test_test_metrics_are_refused_among_several(toy: Oracle) -> None:
    names = ["val_pgd_acc", "test_pgd_acc"]
    with pytest.raises(MetricError, match="may not guide a search"):
        toy.vector_session(names, budget=2)
    assert toy.vector_session(names, budget=2, allow_test_objective=True).budget == 2


def test_limits_may_be_words_wherever_they_are_taken(toy: Oracle) -> None:
    words, parsed = "val_clean_acc>=60,macs<=1e9", parse_constraints("val_clean_acc>=60,macs<=1e9")
    assert parse_constraints(["val_clean_acc>=60", parsed[1]]) == parsed
    assert toy.session(budget=1, constraints=words).constraints == parsed
    assert toy.vector_session(["val_pgd_acc", "macs"], budget=1, constraints=words).constraints == parsed
    for ask in (toy.searchable_space, toy.optimum):
        assert ask("val_pgd_acc", constraints=words) == ask("val_pgd_acc", constraints=parsed)
    np.testing.assert_array_equal(toy.feasible(words), toy.feasible(parsed))
    with pytest.raises(ConfigError, match=r"constraint='macs<1': expected metric<=number"):
        toy.session(budget=1, constraints="macs<1")


@pytest.mark.parametrize("text", ["test_pgd_acc>=3", "best_epoch<=3", "mac<=3"])
def test_metrics_that_may_not_limit(text: str) -> None:
    with pytest.raises(MetricError) as caught:
        parse_constraints(text)
    assert "allow_test_objective" not in str(caught.value), "no way round is offered"
    assert ("test_pgd_acc is a test metric and may not limit" in str(caught.value)) == text.startswith("test")


def test_violations_are_shares_of_the_largest_excess_below_one_too() -> None:
    small, none = Constraint("val_loss", "<=", 1.0), Constraint("macs", "<=", 9.0)
    columns = [np.array([1.0, 1.25, 1.5]), np.array([1.0, 2.0, 3.0])]
    np.testing.assert_array_equal(violation([small], columns[:1]), [0, 0.5, 1])
    np.testing.assert_array_equal(violation([small, none], columns), [0, 0.25, 0.5])
    assert violation([small], [np.empty(0)]).shape == (0,)
    with pytest.raises(ValueError, match="shorter"):
        violation([small, none], columns[:1])


@pytest.mark.parametrize(
    ("relation", "limit"), [("<", 4e5), ("==", 4e5), ("≤", 4e5), ("<=", "4e5"), ("<=", np.nan), (">=", True)]
)
def test_limits_that_mean_nothing(relation: str, limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"limit macs .*: expected <= or >= and a finite number"):
        Constraint("macs", relation, limit)


def test_one_limit_needs_no_list(toy: Oracle) -> None:
    limit = Constraint("macs", "<=", float(np.median(toy.column("macs"))))
    one, several = (toy.session(budget=1, constraints=given) for given in (limit, [limit]))
    assert one.space == several.space
    with pytest.raises(ConfigError, match="constraints=5: expected text such as"):
        toy.session(budget=1, constraints=5)  # type: ignore[arg-type]
