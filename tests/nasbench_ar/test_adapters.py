"""The table as an objective of Optuna, Nevergrad and pymoo."""

import contextlib
import logging
import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import nasbench_ar
from nasbench_ar import ConfigError, MetricError, Oracle, adapters
from tests.nasbench_ar.conftest import TOY


@pytest.fixture
def optuna() -> Any:
    module = pytest.importorskip("optuna")
    module.logging.set_verbosity(module.logging.ERROR)
    return module


def study_of(optuna: Any, objective: Any, *indices: int) -> Any:
    """A random one, which begins with the architectures of these indices."""
    study = optuna.create_study(directions=objective.directions, sampler=optuna.samplers.RandomSampler(seed=1))
    for index in indices:
        study.enqueue_trial(dict(zip(TOY.entry_names, TOY.from_index(index), strict=True)))
    return study


def test_a_study_spends_the_budget_and_stops(toy: Oracle, optuna: Any) -> None:
    objective = nasbench_ar.optuna_objective(budget=10, table=toy)
    study = study_of(optuna, objective)
    study.optimize(objective)
    session = objective.session
    assert session.spent == 10
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(complete) == 10 + session.repeats
    assert study.best_value == session.best()[1]
    assert tuple(study.best_params.values()) == tuple(session.best()[0])
    assert set(study.best_params) == set(toy.space.entry_names)
    # index 15 has no entry in this table: pruned, not charged
    pruned = [t for t in study.trials if t.state == optuna.trial.TrialState.PRUNED]
    assert all(tuple(t.params.values()) == tuple(toy.space.from_index(15)) for t in pruned)


def test_a_loss_is_minimised_in_its_own_unit(toy: Oracle, optuna: Any) -> None:
    objective = nasbench_ar.optuna_objective("val_loss", budget=15, table=toy)
    assert objective.directions == ["minimize"]
    study = optuna.create_study(directions=objective.directions, sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective)
    assert study.best_value == toy.optimum("val_loss")[1]


def test_a_study_of_several_objectives(toy: Oracle, optuna: Any) -> None:
    objective = nasbench_ar.optuna_objective(["val_pgd_acc", "macs"], budget=15, table=toy)
    assert objective.directions == ["maximize", "minimize"]
    study = study_of(optuna, objective)
    study.optimize(objective, n_jobs=2)
    assert objective.session.spent == 15
    front = {tuple(t.params.values()) for t in study.best_trials}
    assert front == {tuple(a) for a in objective.session.front()}


def test_limits_prune(toy: Oracle, optuna: Any) -> None:
    objective = nasbench_ar.optuna_objective(budget=8, table=toy, constraints="val_clean_acc>=50")
    study = study_of(optuna, objective)
    study.optimize(objective)
    for trial in study.trials:
        found = nasbench_ar.Architecture(*trial.params.values())
        if trial.state == optuna.trial.TrialState.COMPLETE:
            assert toy.query(found, "val_clean_acc") >= 50
        elif found != toy.space.from_index(15):
            assert trial.state == optuna.trial.TrialState.PRUNED
            assert toy.query(found, "val_clean_acc") < 50
    assert len({tuple(t.params.values()) for t in study.trials} - {tuple(toy.space.from_index(15))}) == 8


def test_a_study_that_repeats_itself_stops(toy: Oracle, optuna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "STALL_LIMIT", 12)
    objective = nasbench_ar.optuna_objective(budget=5, table=toy)
    study = study_of(optuna, objective, *[3] * 20)
    study.optimize(objective)
    assert (objective.session.spent, len(objective.session.history)) == (1, 1)
    assert sum(t.state.name == "COMPLETE" for t in study.trials) == 13


BOTH = ["val_pgd_acc", "macs"]


@pytest.mark.parametrize(
    ("metrics", "made", "remedy"),
    [
        ("val_pgd_acc", {}, "direction='maximize'"),
        ("val_loss", {"direction": "maximize"}, "direction='minimize'"),
        (BOTH, {"directions": ["minimize", "maximize"]}, r"directions=\['maximize', 'minimize'\]"),
        (BOTH, {"direction": "maximize"}, r"directions=\['maximize', 'minimize'\]"),
        ("val_pgd_acc", {"directions": ["maximize", "maximize"]}, "direction='maximize'"),
    ],
)
def test_a_study_of_the_wrong_direction_is_refused_at_once(
    toy: Oracle, optuna: Any, metrics: Any, made: dict[str, Any], remedy: str
) -> None:
    objective = nasbench_ar.optuna_objective(metrics, budget=5, table=toy)
    study = optuna.create_study(**made)
    with pytest.raises(ConfigError, match=rf"create_study\({remedy}\)"):
        study.optimize(objective)
    assert (len(study.trials), objective.session.spent) == (1, 0)


def sampled_jointly(optuna: Any, objective: Any, sampler: Any) -> Any:
    """The study, after it has spent the budget; every warning of Optuna's is an error."""
    messages: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = messages.append  # type: ignore[method-assign]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logger = logging.getLogger("optuna")
    logger.addHandler(handler)
    try:
        study = optuna.create_study(directions=objective.directions, sampler=sampler)
        study.optimize(objective)
    finally:
        logger.removeHandler(handler)
    assert [record.getMessage() for record in messages] == []
    return study


@pytest.mark.parametrize("sampler", ["CmaEsSampler", "QMCSampler"])
def test_samplers_of_numbers_get_ranks(toy: Oracle, optuna: Any, sampler: str) -> None:
    if sampler == "CmaEsSampler":
        pytest.importorskip("cmaes")
    objective = nasbench_ar.optuna_objective(budget=5, table=toy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # QMC as such
        made = getattr(optuna.samplers, sampler)(seed=1)
    study = sampled_jointly(optuna, objective, made)
    assert objective.session.spent == 5
    best = study.best_trial
    assert best.user_attrs["architecture"] == str(objective.session.best()[0])
    ranks = [best.params[f"{name}_rank"] for name in toy.space.entry_names]
    assert tuple(toy.space.choices(k)[rank] for k, rank in enumerate(ranks)) == objective.session.best()[0]


def test_every_sampler_takes_ranks(toy: Oracle, optuna: Any) -> None:
    objective = nasbench_ar.optuna_objective(budget=10, table=toy, encoding="ordinal")
    sampled_jointly(optuna, objective, optuna.samplers.TPESampler(seed=0))
    assert objective.session.spent == 10


def test_encodings_that_are_refused(toy: Oracle, optuna: Any) -> None:
    pytest.importorskip("cmaes")
    objective = nasbench_ar.optuna_objective(budget=10, table=toy, encoding="categorical")
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.CmaEsSampler(seed=1))
    with pytest.raises(ConfigError, match="encoding='categorical': CmaEsSampler .*use 'auto' or 'ordinal'"):
        study.optimize(objective)
    assert objective.session.spent == 0
    with pytest.raises(ConfigError, match="encoding='ranks': expected one of auto, categorical, ordinal"):
        nasbench_ar.optuna_objective(budget=10, table=toy, encoding="ranks")


def test_a_trial_of_no_study_has_categories(toy: Oracle, optuna: Any) -> None:
    objective = nasbench_ar.optuna_objective(budget=1, table=toy)
    found = toy.space.parse("1-1-2-3")
    trial = optuna.trial.FixedTrial(dict(zip(toy.space.entry_names, found, strict=True)))
    assert objective(trial) == toy.query(found, "val_pgd_acc")


def test_ask_and_tell_is_told_that_the_budget_is_spent(toy: Oracle, optuna: Any) -> None:
    objective = nasbench_ar.optuna_objective(budget=1, table=toy)
    study = study_of(optuna, objective, 3, 4)
    study.tell(trial := study.ask(), objective(trial))
    with pytest.raises(nasbench_ar.BudgetExhaustedError):
        objective(study.ask())


def test_what_other_threads_had_begun_when_the_budget_was_spent_is_pruned(toy: Oracle, optuna: Any) -> None:
    """A sampler that waits until four trials have begun."""
    begun = threading.Barrier(4)

    class Together(optuna.samplers.RandomSampler):  # type: ignore[misc]
        def before_trial(self, study: Any, trial: Any) -> None:
            with contextlib.suppress(threading.BrokenBarrierError):
                begun.wait(timeout=1)

    objective = nasbench_ar.optuna_objective(budget=2, table=toy)
    study = optuna.create_study(directions=objective.directions, sampler=Together(seed=0))
    study.optimize(objective, n_jobs=4)
    assert objective.session.spent == 2
    assert {trial.state.name for trial in study.trials} <= {"COMPLETE", "PRUNED"}


def test_nevergrad_after_the_budget(toy: Oracle) -> None:
    problem = nasbench_ar.nevergrad_problem("val_loss", budget=1, table=toy)
    first, second = (problem(*toy.space.from_index(index)) for index in (3, 4))
    assert second == first + 1, "no value of the table"
    assert problem(*toy.space.from_index(3)) == first
    assert problem.session.spent == 1


def test_a_nevergrad_optimiser_spends_the_budget(toy: Oracle) -> None:
    nevergrad = pytest.importorskip("nevergrad")
    problem = nasbench_ar.nevergrad_problem(budget=12, table=toy)
    parametrization = problem.parametrization()
    parametrization.random_state.seed(3)
    optimizer = nevergrad.optimizers.registry["RandomSearch"](parametrization, budget=2000)
    optimizer.register_callback("ask", problem.stopper())
    found = optimizer.minimize(problem)
    assert problem.session.spent == 12
    assert toy.query(found.args, "val_pgd_acc") == problem.session.best()[1]
    worst = -min(problem.session.history.values())
    assert problem(*toy.space.from_index(15)) == worst + 1, "no entry in this table"
    known = next(iter(problem.session.history))
    assert problem(*known) == -problem.session.history[known]


def test_several_nevergrad_losses(toy: Oracle) -> None:
    problem = nasbench_ar.nevergrad_problem(["val_pgd_acc", "macs"], budget=2, table=toy)
    found = toy.space.from_index(2)
    assert problem(*found) == [-toy.query(found, "val_pgd_acc"), toy.space.macs(found)]
    assert problem(*toy.space.from_index(15)) == [1 - toy.query(found, "val_pgd_acc"), toy.space.macs(found) + 1]


def test_nevergrad_that_is_missing(toy: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nevergrad", None)
    with pytest.raises(ConfigError, match=r"^nevergrad_problem needs nevergrad, .* 'nasbench-ar\[nevergrad\]'$"):
        nasbench_ar.nevergrad_problem(budget=2, table=toy).parametrization()


def test_what_is_pruned_says_why(toy: Oracle, optuna: Any) -> None:
    limits = [f"val_clean_acc>={np.floor(toy.query(toy.space.from_index(3), 'val_clean_acc')) + 1:g}", "val_loss<=95"]
    objective = nasbench_ar.optuna_objective(budget=8, table=toy, constraints=limits)
    study = study_of(optuna, objective, 3, 15)
    for reason in (f"1-1-2-3 breaks {limits[0]}, val_loss<=95$", "2-3-2-3 .*left out"):
        with pytest.raises(optuna.TrialPruned, match=reason):
            objective(study.ask())


def test_a_new_architecture_ends_a_row_of_known_ones(toy: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "STALL_LIMIT", 2)
    problem = nasbench_ar.nevergrad_problem(budget=5, table=toy)
    for index, finished in ((3, False), (3, False), (4, False), (4, False), (3, True)):
        problem(*toy.space.from_index(index))
        assert problem.finished is finished, index


def test_outside_before_anything_is_known(toy: Oracle) -> None:
    """Nothing of the table may be worse, or a library holds what is outside for the best that it has seen."""
    several = nasbench_ar.nevergrad_problem(["val_pgd_acc", "macs"], budget=2, table=toy)
    members = several.session.space.member_indices
    wanted = [1 - toy.column("val_pgd_acc")[members].min(), 1 + toy.column("macs")[members].max()]
    assert nasbench_ar.nevergrad_problem(budget=2, table=toy)(*toy.space.from_index(15)) == wanted[0]
    assert several(*toy.space.from_index(15)) == wanted


def test_choices_have_an_order_unless_told_otherwise(toy: Oracle) -> None:
    nevergrad = pytest.importorskip("nevergrad")
    problem = nasbench_ar.nevergrad_problem(budget=2, table=toy)
    for given, kind in (({}, "Transition"), ({"ordered": True}, "Transition"), ({"ordered": False}, "")):
        entries = problem.parametrization(**given)[0]
        assert {type(entry) for entry in entries} == {getattr(nevergrad.p, f"{kind}Choice")}, given


def test_every_way_to_name_a_table(toy: Oracle, capsys: pytest.CaptureFixture[str]) -> None:
    found = toy.space.from_index(3)
    for make in (nasbench_ar.optuna_objective, nasbench_ar.nevergrad_problem):
        for table in (toy, toy.table.folder, str(toy.table.folder)):
            for objective in (None, "val_loss", ["val_loss"]):
                session = make(objective, budget=1, table=table, constraints="macs>=1").session
                name = objective if isinstance(objective, str) else "val_pgd_acc" if objective is None else "val_loss"
                assert session.query(found) == toy.query(found, name)
                assert (session.remaining, [str(c) for c in session.constraints]) == (0, ["macs>=1"])
        session = make(["val_loss", "macs"], budget=3, table=toy, constraints="val_loss<=90").session
        assert (session.remaining, [str(c) for c in session.constraints]) == (3, ["val_loss<=90"])
    assert capsys.readouterr() == ("", ""), "the user has not asked for a text"


@pytest.mark.parametrize("problem", [adapters.optuna_objective, adapters.nevergrad_problem, adapters.pymoo_problem])
def test_test_metrics_need_the_opt_in(problem: Any, toy: Oracle) -> None:
    if problem is adapters.pymoo_problem:
        pytest.importorskip("pymoo")
    with pytest.raises(MetricError, match="allow_test_objective=true"):
        problem("test_pgd_acc", budget=2, table=toy)
    found = problem("test_pgd_acc", budget=2, table=toy, allow_test_objective=True)
    assert found.session.objectives[0].name == "test_pgd_acc"


@pytest.fixture
def pymoo_run(toy: Oracle) -> Any:
    """Minimise a problem of the toy table with a genetic algorithm, 6 architectures a generation."""
    pytest.importorskip("pymoo")
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    def run(objective: Any, *, termination: Any = None, **more: Any) -> tuple[Any, Any]:
        problem = nasbench_ar.pymoo_problem(objective, table=toy, **more)
        whole = {"repair": RoundingRepair()}
        algorithm = NSGA2(pop_size=6, sampling=IntegerRandomSampling(), crossover=SBX(**whole), mutation=PM(**whole))
        return problem, minimize(problem, algorithm, termination or problem.termination(), seed=3, save_history=True)

    return run


def test_pymoo_finds_the_front_and_stops(toy: Oracle, pymoo_run: Any) -> None:
    problem, result = pymoo_run(["val_pgd_acc", "macs"], budget=8)
    assert problem.session.spent == 8
    found = problem.architectures(result.X)
    assert set(found) == set(problem.session.front())
    assert result.F.tolist() == [[-toy.query(a, "val_pgd_acc"), toy.space.macs(a)] for a in found]
    assert (result.G == 0).all()


def test_pymoo_after_the_budget(pymoo_run: Any) -> None:
    problem, result = pymoo_run("val_loss", budget=7, termination=("n_gen", 5))
    assert problem.session.spent == 7
    assert (problem.architectures(result.X), result.F.tolist()) == (
        [problem.session.best()[0]],
        [problem.session.best()[1]],
    )


def test_what_pymoo_is_told(toy: Oracle) -> None:
    pytest.importorskip("pymoo")
    problem = nasbench_ar.pymoo_problem("val_loss", budget=3, table=toy, constraints="val_clean_acc>=50")
    kept = [i for i in range(1, 15) if toy.query(toy.space.from_index(i), "val_clean_acc") >= 50]
    broken = next(i for i in range(1, 15) if i not in kept)
    ranks = toy.space.digits(indices=[15, kept[0], 15, broken, kept[1], kept[2], kept[0]])
    F, G = problem.evaluate(ranks)  # noqa: N806 - pymoo's names
    values = [toy.query(toy.space.from_index(i), "val_loss") for i in kept[:2]]
    assert G[:, 0].tolist() == [1, 0, 1, 1, 0, 1, 0]
    worst, largest = F[:5].max(), toy.column("val_loss")[problem.session.space.member_indices].max()
    assert F[[0, 1, 2, 4, 5, 6], 0].tolist() == [largest + 1, values[0], values[0] + 1, values[1], worst + 1, values[0]]
    assert F[3, 0] > largest, "by Deb's rule"
    assert (problem.session.spent, problem.session.repeats) == (3, 1)


@pytest.mark.parametrize("ranks", [[0.5, 0, 0, 0], [2, 0, 0, 0], [-1, 0, 0, 0], [np.nan, 0, 0, 0], [0, 0, 0], 1])
def test_ranks_that_are_refused(toy: Oracle, ranks: Any) -> None:
    pytest.importorskip("pymoo")
    problem = nasbench_ar.pymoo_problem(budget=3, table=toy)
    with pytest.raises(ConfigError, match=r"expected whole numbers from 0 to \[1, 1, 1, 1\]; .*repair=RoundingRepair"):
        problem.architectures(ranks)
    assert problem.architectures([0, 1, 0, 1.0]) == [toy.space.parse("1-3-1-3")]


def test_pymoo_that_is_missing(toy: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymoo", None)
    monkeypatch.delitem(sys.modules, "pymoo.core", raising=False)
    monkeypatch.delitem(sys.modules, "pymoo.core.problem", raising=False)
    with pytest.raises(ConfigError, match=r"^pymoo_problem needs pymoo, .* 'nasbench-ar\[pymoo\]'$"):
        nasbench_ar.pymoo_problem(budget=2, table=toy)
