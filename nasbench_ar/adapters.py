"""The table as an objective for other libraries: Optuna, Nevergrad and pymoo.

    import optuna, nasbench_ar

    objective = nasbench_ar.optuna_objective("val_best_pgd_acc", budget=500)
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective)                     # stops by itself when the budget is spent
    objective.session.best()

    import nevergrad

    problem = nasbench_ar.nevergrad_problem("val_best_pgd_acc", budget=500)
    optimizer = nevergrad.optimizers.TwoPointsDE(problem.parametrization(), budget=2000)
    optimizer.register_callback("ask", problem.stopper())
    optimizer.minimize(problem)

    from pymoo.optimize import minimize

    problem = nasbench_ar.pymoo_problem(["val_best_pgd_acc", "macs"], budget=500)
    result = minimize(problem, algorithm, problem.termination())    # one for integers
    problem.architectures(result.X)

The budget counts unique architectures; a repeated one gets its known value, free.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench_ar.architecture import Architecture
from nasbench_ar.constraints import ConstraintsLike
from nasbench_ar.errors import ConfigError, SpaceError, shown
from nasbench_ar.oracle import Oracle, load
from nasbench_ar.session import CountedQueries
from nasbench_ar.system.extras import require

STALL_LIMIT = 10_000  # proposals in a row without anything new
ENCODINGS = ("auto", "categorical", "ordinal")
NUMERIC_SAMPLERS = ("CmaEsSampler", "QMCSampler")  # Optuna's that leave categories to random sampling


class TableProblem:
    """Counted queries, as a function of one choice per entry of the vector.

    Attributes:
        session: with `history`, `spent`, `remaining`, `repeats`.
        directions: `maximize` or `minimize`, per objective.
    """

    def __init__(self, session: CountedQueries[Any]) -> None:
        self.session = session
        self.directions = ["maximize" if found.maximize else "minimize" for found in session.objectives]
        space = session.space
        self._entries = [(name, space.choices(k)) for k, name in enumerate(space.entry_names)]
        self._in_a_row = 0
        self._worst: list[float] = []
        self._lock = threading.Lock()  # a study may run several threads

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session})"

    @property
    def finished(self) -> bool:
        """Whether the budget or the space is spent, or nothing new was proposed 10,000 times in a row."""
        over = not self.session.remaining or self.session.spent >= self.session.space.size
        return over or self._in_a_row >= STALL_LIMIT

    def _new(self, architecture: Architecture) -> bool:
        new = architecture in self.session.space and architecture not in self.session.history
        self._in_a_row = 0 if new else self._in_a_row + 1
        return new

    def _losses(self, architecture: Architecture) -> list[float]:
        """Scores with their sign turned, for libraries that know no failed evaluations and may outlast the budget."""
        spent = self._new(architecture) and not self.session.remaining
        if spent or architecture not in self.session.space:
            return self._beyond()
        score = self.session.score(architecture)
        losses = [-value for value in (score if len(self.directions) > 1 else [score])]
        self._worst = list(map(max, self._worst, losses)) if self._worst else losses
        return losses

    def _beyond(self) -> list[float]:
        """One above the worst so far, or above the worst of the table before anything is known."""
        return [loss + 1 for loss in self._worst or self.session.worst_losses()]


class OptunaObjective(TableProblem):
    """What `study.optimize` takes; every entry of the vector is one parameter of a trial.

    A categorical parameter, `D1`, `W1`, ..., takes an entry's values.  An ordinal one,
    `D1_rank`, `W1_rank`, ..., takes the value's rank from 0; the trial's user attribute
    `architecture` then names the architecture.

    Values are in the objectives' own units: create the study with `directions`.  A trial
    outside the space (missing in the table, or beyond a limit on a known cost) is pruned and
    costs nothing; one beyond a limit on a measured metric is pruned and costs a query.

    Attributes:
        encoding: `categorical`, `ordinal`, or `auto`: ordinal for Optuna's samplers
            that know numbers only (CMA-ES, QMC), categorical otherwise.
    """

    def __init__(self, session: CountedQueries[Any], *, encoding: str = "auto") -> None:
        if encoding not in ENCODINGS:
            raise ConfigError(f"encoding={shown(encoding)}: expected one of {', '.join(ENCODINGS)}")
        super().__init__(session)
        self.encoding = encoding

    def __call__(self, trial: Any) -> Any:
        """The value of one trial; several in a tuple.

        Raises:
            ConfigError: for a study of other directions, or a sampler that knows no categories.
            optuna.TrialPruned: for what is outside the space or beyond a limit, and for what `optimize` has begun in
                other threads when the budget is spent.
            BudgetExhaustedError: for a new architecture after that, asked outside of `optimize`.
        """
        import optuna

        study = getattr(trial, "study", None)  # a FixedTrial has none
        if study is not None:
            self._check_directions(study)
        architecture = self._suggested(trial, type(study.sampler).__name__ if study is not None else "")
        with self._lock:
            if self._new(architecture) and not self.session.remaining and _stopped(study):
                raise optuna.TrialPruned("the budget is spent")
            try:
                value = self.session.query(architecture)
            except SpaceError as error:
                raise optuna.TrialPruned(str(error)) from None
            finally:
                if self.finished:
                    _stopped(study)
            if not self.session.feasible(architecture):
                raise optuna.TrialPruned(f"{architecture} breaks {', '.join(map(str, self.session.constraints))}")
        return value

    def _check_directions(self, study: Any) -> None:
        given = [direction.name.lower() for direction in study.directions]
        if given != self.directions:
            names = ", ".join(found.name for found in self.session.objectives)
            one = f"direction={self.directions[0]!r}"
            needed = one if len(self.directions) == 1 else f"directions={self.directions!r}"
            raise ConfigError(
                f"this study has directions={given!r}, which are wrong for {names}: "
                f"create it with optuna.create_study({needed})"
            )

    def _suggested(self, trial: Any, sampler: str) -> Architecture:
        numeric, compose = sampler in NUMERIC_SAMPLERS, self.session.space.compose
        if numeric and self.encoding == "categorical":
            raise ConfigError(
                f"encoding='categorical': {sampler} samples categories at random; use 'auto' or 'ordinal'"
            )
        if self.encoding == "categorical" or (self.encoding == "auto" and not numeric):
            return compose(trial.suggest_categorical(name, choices) for name, choices in self._entries)
        ranks = [trial.suggest_int(f"{name}_rank", 0, len(choices) - 1) for name, choices in self._entries]
        found = compose(choices[rank] for rank, (_, choices) in zip(ranks, self._entries, strict=True))
        trial.set_user_attr("architecture", str(found))
        return found


def _stopped(study: Any) -> bool:
    """Whether there is an `optimize` of a study to stop."""
    try:
        study.stop()
    except (RuntimeError, AttributeError):
        return False
    return True


class NevergradProblem(TableProblem):
    """What `optimizer.minimize` takes: a loss, which is the score with its sign turned."""

    def parametrization(self, *, ordered: bool = True) -> Any:
        """Nevergrad's `TransitionChoice`, which knows the order, or `Choice`; `ConfigError` without Nevergrad."""
        nevergrad = require("nevergrad_problem", "nevergrad")
        choice = nevergrad.p.TransitionChoice if ordered else nevergrad.p.Choice
        return nevergrad.p.Instrumentation(*(choice(list(choices)) for _, choices in self._entries))

    def stopper(self) -> Any:
        """A callback for `ask` that ends `minimize` when the budget is spent."""
        return require("nevergrad_problem", "nevergrad").callbacks.EarlyStopping(lambda _: self.finished)

    def __call__(self, *choices: Any) -> Any:
        """The loss of one architecture; several in a list.

        Nevergrad knows no failed evaluations: outside the space, and for a new architecture after the
        budget was spent, the loss is one above the worst so far, at no cost.
        """
        space = self.session.space
        architecture = space.compose(choices) if len(choices) == space.dimensions else space.parse(choices)
        with self._lock:
            losses = self._losses(architecture)
        return losses if len(losses) > 1 else losses[0]


class PymooProblem(TableProblem):
    """What pymoo's `minimize` takes; `pymoo_problem` makes it a `pymoo.core.problem.Problem`.

    A variable is the rank of an entry's value, from 0.  `F` has the losses, scores with their sign turned.  `G` is 0,
    or 1 for what breaks a limit or is outside the space, and for what a generation proposes after the budget was spent;
    the last two cost nothing, and their losses are one above the worst so far.
    """

    def __init__(self, session: CountedQueries[Any]) -> None:
        super().__init__(session)
        self._top = [len(choices) - 1 for _, choices in self._entries]
        base: Any = super(TableProblem, self)  # pymoo's, in the class that is made
        size = {"n_var": len(self._top), "n_obj": len(self.directions), "n_ieq_constr": 1}
        base.__init__(**size, xl=0, xu=np.array(self._top), vtype=int)

    def __deepcopy__(self, memo: object) -> PymooProblem:
        return self  # the queries of a copy would not be counted here

    def termination(self) -> Any:
        """Ends `minimize` after the generation that spends the budget."""
        base = require("pymoo_problem", "pymoo.core.termination").Termination
        return type("BudgetSpent", (base,), {"_update": lambda _, algorithm: float(algorithm.problem.finished)})()

    def architectures(self, ranks: Any) -> list[Architecture]:
        """What ranks, such as `result.X`, stand for.

        Args:
            ranks: (n, dimensions) or (dimensions,) whole numbers.

        Raises:
            ConfigError: for other numbers.
        """
        rows = np.atleast_2d(np.asarray(ranks))
        if rows.shape[1] != len(self._top) or not (np.rint(rows).clip(0, self._top) == rows).all():
            raise ConfigError(
                f"ranks {shown(ranks)}: expected whole numbers from 0 to {self._top}; give the algorithm "
                "operators for integers: IntegerRandomSampling(), and repair=RoundingRepair() to SBX and PM"
            )
        each = [choices for _, choices in self._entries]
        compose = self.session.space.compose
        return [compose(choices[int(rank)] for choices, rank in zip(each, row, strict=True)) for row in rows]

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        found = [self._evaluated(architecture) for architecture in self.architectures(x)]
        out["F"], out["G"] = (np.array(column, dtype=float) for column in zip(*found, strict=True))

    def _evaluated(self, architecture: Architecture) -> tuple[list[float], list[bool]]:
        session = self.session
        with self._lock:
            losses = self._losses(architecture)
            return losses, [architecture not in session.history or not session.feasible(architecture)]


def optuna_objective(
    objective: str | Sequence[str] | None = None,
    *,
    budget: int,
    table: str | os.PathLike[str] | Oracle | None = None,
    constraints: ConstraintsLike = None,
    allow_test_objective: bool = False,
    encoding: str = "auto",
) -> OptunaObjective:
    """The table as an objective of an Optuna study.

    Args:
        objective: a metric, or several; None takes the table's default.
        budget: unique architectures.
        table: a name, a folder, an oracle, or None for the best table at hand.
        constraints: limits such as `macs<=10e9`.
        allow_test_objective: let a test metric guide the search.
        encoding: `auto`, `categorical` or `ordinal`; see `OptunaObjective`.

    Raises:
        ConfigError: on another encoding, objective or limit that cannot be used.
    """
    session = _session(objective, budget, table, constraints, allow_test_objective)
    return OptunaObjective(session, encoding=encoding)


def nevergrad_problem(
    objective: str | Sequence[str] | None = None,
    *,
    budget: int,
    table: str | os.PathLike[str] | Oracle | None = None,
    constraints: ConstraintsLike = None,
    allow_test_objective: bool = False,
) -> NevergradProblem:
    """The table as a loss for a Nevergrad optimiser; arguments as in `optuna_objective`."""
    return NevergradProblem(_session(objective, budget, table, constraints, allow_test_objective))


def pymoo_problem(
    objective: str | Sequence[str] | None = None,
    *,
    budget: int,
    table: str | os.PathLike[str] | Oracle | None = None,
    constraints: ConstraintsLike = None,
    allow_test_objective: bool = False,
) -> PymooProblem:
    """The table as a problem for pymoo's algorithms on integers; arguments as in `optuna_objective`.

    Raises:
        ConfigError: when pymoo is not installed, too.
    """
    base = require("pymoo_problem", "pymoo.core.problem").Problem
    made: type[PymooProblem] = type("PymooProblem", (PymooProblem, base), {})
    return made(_session(objective, budget, table, constraints, allow_test_objective))


def _session(
    objective: str | Sequence[str] | None,
    budget: int,
    table: str | os.PathLike[str] | Oracle | None,
    constraints: ConstraintsLike,
    allow_test: bool,
) -> CountedQueries[Any]:
    oracle = table if isinstance(table, Oracle) else load(table, quiet=True)
    more: Any = {"budget": budget, "constraints": constraints, "allow_test_objective": allow_test}
    if objective is None or isinstance(objective, str):
        return oracle.session(objective, **more)
    if len(objective) == 1:
        return oracle.session(objective[0], **more)
    return oracle.vector_session(objective, **more)
