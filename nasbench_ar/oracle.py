"""The tabular oracle: what a trained network scored, looked up instead of trained.

Free reads, for analyses, are methods of `Oracle`; a search pays for its queries
through a `Session`, another object with a budget.

    import nasbench_ar

    oracle = nasbench_ar.load()
    oracle.query("5-10-5-10-5-10", "val_best_pgd_acc")      # one value
    oracle.query_many(["5-10-5-10-5-10", "4-8-4-8-4-8"], "val_best_pgd_acc")
    oracle.optimum("val_best_pgd_acc")                      # (architecture, value)
    oracle.record("WRN-34-10")                              # everything there is

    session = oracle.session(budget=500)                    # counted
    session.score("5-10-5-10-5-10")                         # higher is better
    oracle.fidelity_session(budget=400)                     # counted in epochs, along the curves

Tables may hold several trainings of an architecture: `seed="mean"` (the default)
averages over them, `seed=3` takes one, `seed="all"` gives an array.  A value that
the table lacks raises `MissingEntryError`; it is never a zero or a NaN.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nasbench_ar.constraints import ConstraintsLike
from nasbench_ar.epoch_session import FidelitySession
from nasbench_ar.library import open_table
from nasbench_ar.session import Observe, Session, VectorSession
from nasbench_ar.values import SeedChoice, Values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Oracle", "SeedChoice", "load"]


class Oracle(Values):
    """Answers for the architectures of one table, free of charge, and sessions with a budget.

    Attributes:
        table: the storage below.
        space: the table's full search space.
        name: the table's name.
        title: one line saying what the numbers are.

    Raises:
        SpaceError: when a method is given an architecture outside the space.
        MetricError: for a metric, curve or epoch that the table does not have.
        MissingEntryError: where the table has no value; arrays over all indices have NaN there.
    """

    def to_dataframe(self, *, by: Literal["architecture", "training"] = "architecture") -> pd.DataFrame:
        """All scalars of the table as a pandas frame, in the order of arch_id; see `frames.to_dataframe`."""
        from nasbench_ar.frames import to_dataframe

        return to_dataframe(self, by=by)

    def session(
        self,
        objective: str | None = None,
        *,
        budget: int,
        seed: SeedChoice = "mean",
        allow_test_objective: bool = False,
        constraints: ConstraintsLike = (),
        observe: Observe | None = None,
    ) -> Session:
        """A budget of counted queries for one run of a searcher; see `Session`.

        Args:
            objective: a metric; None takes the table's default.
            budget: unique architectures.
            seed: training seed to look up, or `"mean"`.
            allow_test_objective: let a test metric guide the search.
            constraints: limits such as `macs<=10e9`; see `parse_constraints`.
            observe: (index, value) -> what the searcher sees, such as a noisy value.
        """
        return Session(
            self,
            objective,
            budget=budget,
            seed=seed,
            allow_test_objective=allow_test_objective,
            constraints=constraints,
            observe=observe,
        )

    def vector_session(
        self,
        objectives: Sequence[str],
        *,
        budget: int,
        seed: SeedChoice = "mean",
        allow_test_objective: bool = False,
        constraints: ConstraintsLike = (),
    ) -> VectorSession:
        """A budget of counted queries that answer several metrics; see `VectorSession`."""
        return VectorSession(
            self,
            objectives,
            budget=budget,
            seed=seed,
            allow_test_objective=allow_test_objective,
            constraints=constraints,
        )

    def fidelity_session(
        self, objective: str | None = None, *, budget: float, unit: str = "epochs", seed: SeedChoice = "mean"
    ) -> FidelitySession:
        """A budget of training, in epochs or GPU-days, for a multi-fidelity searcher; see `FidelitySession`."""
        return FidelitySession(self, objective, budget=budget, unit=unit, seed=seed)


def load(table: str | os.PathLike[str] | None = None, *, quiet: bool = False) -> Oracle:
    """Open a table as an oracle: a name, a folder, or None for the best one at hand.

    Unless `quiet`, a line on standard error says which one None chose.

    Raises:
        TableError: when there is no such table or it is damaged.
    """
    oracle = Oracle(open_table(table))
    if not quiet:
        print(f"nasbench-ar: table {oracle.name}: {oracle.title}", file=sys.stderr)
    return oracle
