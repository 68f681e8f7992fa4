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

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.constraints import ConstraintsLike, parse_constraints
from nasbench_ar.errors import ConfigError, MetricError
from nasbench_ar.fidelity import FidelitySession
from nasbench_ar.metrics import CORRUPTIONS, metric
from nasbench_ar.record import training_record
from nasbench_ar.session import Observe, Session, VectorSession
from nasbench_ar.space import Many, Numbers, SearchSpace
from nasbench_ar.table import Table
from nasbench_ar.trainings import FloatArray, SeedChoice, Trainings, check_seed

__all__ = ["Oracle", "SeedChoice"]


class Oracle:
    """Answers for the architectures of one table.

    Attributes:
        table: the storage below.
        space: the table's full search space.
        name: the table's name.
        title: one line saying what the numbers are.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.space: SearchSpace = table.space
        self.name = table.name
        self.title = table.title
        self._trainings = Trainings(table)

    def __repr__(self) -> str:
        return f"Oracle({self.name!r}: {self.title})"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics this table can answer, in catalogue order."""
        return self.table.metrics

    def label(self, name: str) -> str:
        """What a report prints for a metric; says so where this table defines it otherwise."""
        differs = self.table.meta["differs"].get(name)
        return metric(name, self.metrics).label + (f" ({differs})" if differs else "")

    # -- scalar values -------------------------------------------------------

    def query(
        self,
        architecture: ArchitectureLike,
        name: str,
        *,
        seed: SeedChoice | Literal["all"] = "mean",
        epoch: int | None = None,
    ) -> Any:
        """The value of one metric for one architecture; free of charge.

        Args:
            architecture: a member of the space, as an object, vector or string.
            name: a metric of the catalogue.
            seed: one training seed, `"mean"` over all there are, or `"all"`.
            epoch: None for the finished training; otherwise what the metric
                would be, had training stopped after this epoch (from 0): the best
                epoch is chosen among, and maxima are taken over, epochs 0..epoch.

        Returns:
            A float; with `seed="all"`, a (seeds,) float64 array by ascending seed.

        Raises:
            SpaceError: architecture outside the space.
            MetricError: unknown metric, or one that the table cannot answer.
            MissingEntryError: no value for this architecture (and seed).
        """
        index = self.space.index(architecture)
        if epoch is None and seed != "all":
            value = self._trainings.column(name, seed)[index]
            if value != value:
                raise self._trainings.missing(index, name, seed)
            return float(value)
        rows = self._trainings.rows(index, name, seed)
        values = self._trainings.at_end(name)[rows] if epoch is None else self._trainings.at_epoch(rows, name, epoch)
        values = values[~np.isnan(values)]
        if not len(values):
            raise self._trainings.missing(index, name, seed)
        return values.astype(np.float64) if seed == "all" else float(values.mean())

    def query_many(
        self,
        architectures: Many = None,
        name: str = "",
        *,
        indices: Numbers = None,
        arch_ids: Numbers = None,
        seed: SeedChoice = "mean",
    ) -> FloatArray:
        """(n,) float64 values of one metric for many architectures.

            oracle.query_many(["5-10-5-10-5-10", "4-8-4-8-4-8"], "val_best_pgd_acc")
            oracle.query_many(arch_ids=[14935, 1], name="val_best_pgd_acc")

        Args:
            architectures: members of the space; in their place, numbers that say which they are:
            name: a metric of the catalogue.
            indices: (n,) lexicographic indices, from 0; the fastest.
            arch_ids: (n,) official numbers, from 1.
            seed: one training seed, or `"mean"` over all there are.

        Raises:
            SpaceError: as `SearchSpace.indices`.
            MissingEntryError: when one of them has no value; the rest as `query`.
        """
        found = self.space.indices(architectures, indices=indices, arch_ids=arch_ids)
        values = self._trainings.column(name, seed)[found]
        absent = np.isnan(values)
        if absent.any():
            raise self._trainings.missing(int(found[absent.argmax()]), name, seed)
        return values

    def column(self, name: str, *, seed: SeedChoice = "mean") -> FloatArray:
        """(product_size,) float64 over all indices, read-only; NaN where the table has nothing.

        For analyses over the whole table; `available` tells which values are real.  The
        arch_ids of its values are `space.arch_ids(indices=range(space.product_size))`.
        """
        return self._trainings.column(name, seed)

    def available(self, *names: str, seed: SeedChoice = "mean") -> NDArray[np.bool_]:
        """(product_size,) bool: which indices have a value of every named metric."""
        out = np.ones(self.space.product_size, dtype=bool)
        for name in names:
            out &= ~np.isnan(self._trainings.column(name, seed))
        return out

    def flag(self, name: str) -> NDArray[np.bool_]:
        """(product_size,) bool: whether any row of each architecture carries the mark."""
        out = np.zeros(self.space.product_size, dtype=bool)
        out[self.table.arch_index[np.asarray(self.table.flag(name))]] = True
        return out

    def optimum(
        self, name: str, *, seed: SeedChoice = "mean", constraints: ConstraintsLike = ()
    ) -> tuple[Architecture, float]:
        """The best architecture of the table by one metric, and its value; first index on ties.

        Args:
            name: a metric with a direction.
            seed: training seed to look up.
            constraints: consider only architectures that keep them.

        Raises:
            MetricError: when the metric has no direction.
            MissingEntryError: when no architecture has a value.
        """
        direction = metric(name, self.metrics).maximize
        if direction is None:
            raise MetricError(f"{name} has no better or worse, hence no optimum")
        values = self._trainings.column(name, seed)
        if limits := parse_constraints(constraints, self.metrics):
            values = np.where(self.feasible(limits, seed=seed), values, np.nan)
        if np.isnan(values).all():
            told = f" where {', '.join(map(str, limits))}" if limits else ""
            raise self._trainings.nothing([name], seed, told)
        best = int(np.nanargmax(values) if direction else np.nanargmin(values))
        return self.space.from_index(best), float(values[best])

    def feasible(self, constraints: ConstraintsLike, *, seed: SeedChoice = "mean") -> NDArray[np.bool_]:
        """(product_size,) bool: which indices keep every constraint; not those where its metric is missing."""
        out = np.ones(self.space.product_size, dtype=bool)
        for constraint in parse_constraints(constraints, self.metrics):
            out &= constraint.excess(self._trainings.column(constraint.metric, seed)) == 0
        return out

    # -- curves, cells, records ----------------------------------------------

    def curve(
        self, architecture: ArchitectureLike, name: str, *, epoch: int | None = None, seed: SeedChoice = "mean"
    ) -> FloatArray:
        """(epoch + 1,) float64: values measured after epochs 0..epoch, and none later.

        Raises:
            MetricError: no such curve in the table, or an epoch outside it.
            MissingEntryError: the architecture has none.
        """
        index = self.space.index(architecture)
        length = self._trainings.curve_length(name, epoch)
        rows = self._trainings.rows(index, name, seed)
        values = np.asarray(self.table.curve(name)[rows, :length])
        values = values[~np.isnan(values).any(axis=1)]
        if not len(values):
            raise self._trainings.missing(index, name, seed)
        return values.mean(axis=0)

    def corruptions(
        self, architecture: ArchitectureLike, kind: str = "acc", *, seed: SeedChoice = "mean"
    ) -> dict[str, FloatArray]:
        """Corruption name -> (5,) float64 by severity 1..5; `kind` is `acc` (percent) or `loss`.

        Raises:
            MetricError: the table has no cells of that kind.
            MissingEntryError: no training of the architecture has all 95 cells;
                `record` shows the cells there are.
        """
        index = self.space.index(architecture)
        rows = self._trainings.rows(index, "test_corrupt_acc", seed)
        cells = np.asarray(self.table.corruptions(kind)[rows])
        cells = cells[~np.isnan(cells).any(axis=(1, 2))]
        if not len(cells):
            raise self._trainings.missing(index, f"complete set of corruption {kind}", seed)
        mean = cells.mean(axis=0)
        return {corruption: mean[k] for k, corruption in enumerate(CORRUPTIONS)}

    def record(self, architecture: ArchitectureLike) -> dict[str, Any]:
        """Everything the table holds on one architecture; what it lacks is left out.

        Returns:
            `arch`, `arch_id`, `macs`, `params` and `trainings`: one dict per seed
            with `seed`, scalars, labels, flags, `curves` and `corruptions`.

        Raises:
            MissingEntryError: when the table has no entry at all.
        """
        index = self.space.index(architecture)
        rows = self._trainings.all_rows(index)
        if not len(rows):
            raise self._trainings.missing(index, "entry", "mean")
        found = self.space.from_index(index)
        return {
            "arch": found,
            "arch_id": self.space.arch_id(found),
            "macs": self.space.macs(found),
            "params": self.space.params(found),
            "trainings": [training_record(self.table, int(row)) for row in rows],
        }

    def seeds(self, architecture: ArchitectureLike) -> tuple[int, ...]:
        """Training seeds the table has for an architecture, ascending; empty for none."""
        return tuple(int(s) for s in self.table.seeds[self._trainings.all_rows(self.space.index(architecture))])

    def gpu_days(self, architecture: ArchitectureLike, *, epoch: int | None = None, seed: SeedChoice = "mean") -> float:
        """Simulated cost of training up to `epoch`: the measured time, shared equally by epochs.

        Raises:
            MetricError: when the table has no training times, or an epoch outside it.
        """
        check_seed(seed, ("mean",))
        total: float = self.query(architecture, "training_time_gpu_days", seed=seed)
        if epoch is None:
            return total
        return total * self._trainings.epochs_done(epoch, self.table.epochs) / self.table.epochs

    # -- searching -----------------------------------------------------------

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
            objective: the metric; the table's default where None.
            budget: unique architectures.
            seed: training seed to look up.
            allow_test_objective: let a test metric guide the search.
            constraints: limits such as `macs<=10e9`; see `constraints.parse_constraints`.
            observe: what is seen of a value, given index and value; None for the value itself.
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
        """A budget of training, by epochs or GPU-days, for one run of a multi-fidelity searcher."""
        return FidelitySession(self, objective, budget=budget, unit=unit, seed=seed)

    def searchable_space(
        self, *objectives: str, seed: SeedChoice = "mean", constraints: ConstraintsLike = ()
    ) -> SearchSpace:
        """The space, restricted to architectures with all objectives and constrained metrics in this table.

        Those beyond a limit on a known cost are left out too.

        Raises:
            MissingEntryError: when none has the metrics.
            ConfigError: when none keeps the limits on known costs.
        """
        parsed = parse_constraints(constraints, self.metrics)
        names = [*objectives, *(c.metric for c in parsed)]
        present = self.available(*names, seed=seed)
        if not present.any():
            raise self._trainings.nothing(names, seed)
        limits = [c for c in parsed if c.known_cost]
        within = present & self.feasible(limits, seed=seed)
        if not within.any():
            ranges = {c.metric: self.column(c.metric)[present] for c in limits}
            told = ", ".join(f"{name} is {v.min():.6g} to {v.max():.6g}" for name, v in ranges.items())
            raise ConfigError(f"no architecture of table {self.name} keeps {', '.join(map(str, limits))}: {told}")
        return self.space.restricted_to(indices=np.flatnonzero(within))
