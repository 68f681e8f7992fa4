"""Free reads of a table: values by architecture, training seed and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import Architecture, ArchitectureLike
from nasbench_ar.arrays import FloatArray
from nasbench_ar.constraints import Constraint, ConstraintsLike, parse_constraints
from nasbench_ar.errors import ConfigError, MetricError, MissingEntryError, shown
from nasbench_ar.grid import Grid, Many, Numbers
from nasbench_ar.html_table import html_table
from nasbench_ar.metrics import CORRUPTIONS, SEVERITIES, Metric
from nasbench_ar.metrics import metric as looked_up
from nasbench_ar.table import Table

SeedChoice = int | Literal["mean"]


class Values:
    """Answers for the architectures of one table; see `Oracle`."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.space: Grid = table.space
        self.name = table.name
        self.title = table.title
        self._columns: dict[tuple[str, SeedChoice], FloatArray] = {}
        self._spaces: dict[tuple[Any, ...], Grid] = {}

    def __repr__(self) -> str:
        return f"Oracle({self.name!r}: {self.title})"

    def _repr_html_(self) -> str:
        lines = []
        for name in self.metrics:
            known = self.column(name)[self.available(name)]
            ends = [f"{end:,.6g}" for end in (known.min(), known.max())] if len(known) else ["–", "–"]
            lines.append((name, self.label(name), self.metric(name).unit, f"{len(known):,}", *ends))
        header = ("metric", "meaning", "unit", "architectures", "least", "most")
        return html_table(f"{self.name}: {self.title}", header, lines)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics this table can answer, in catalogue order."""
        return self.table.metrics

    def metric(self, name: str) -> Metric:
        """What the table calls a metric by this name: label, unit, direction; `MetricError` for an unknown one."""
        return looked_up(name, self.table.catalogue, self.metrics)

    def label(self, name: str) -> str:
        """What a report prints for a metric; says so if this table defines it otherwise."""
        differs = self.table.meta["differs"].get(name)
        return self.metric(name).label + (f" ({differs})" if differs else "")

    def query(
        self,
        architecture: ArchitectureLike,
        name: str,
        *,
        seed: SeedChoice | Literal["all"] = "mean",
        epoch: int | None = None,
    ) -> Any:
        """The value of one metric for one architecture.

        Args:
            architecture: a member of the space, as an object, vector or string.
            name: a metric of the catalogue.
            seed: one training seed, `"mean"` over all there are, or `"all"`.
            epoch: None for the finished training; otherwise the metric had training
                stopped after this epoch (from 0), best epoch and maxima included.

        Returns:
            A float; with `seed="all"`, a (seeds,) float64 array by ascending seed.
        """
        index = self.space.index(architecture)
        if epoch is None and seed != "all":
            value = self.column(name, seed=seed)[index]
            if value != value:
                raise self._missing(index, name, seed)
            return float(value)
        rows = self._rows(index, name, seed)
        values = self._at_end(name)[rows] if epoch is None else self._at_epoch(rows, name, epoch)
        values = values[~np.isnan(values)]
        if not len(values):
            raise self._missing(index, name, seed)
        if seed == "all":
            return values.astype(np.float64)
        return float(values[0] if (values == values[0]).all() else settled(np.asarray(values.sum() / len(values))))

    def query_many(
        self,
        architectures: Many = None,
        name: str = "",
        *,
        indices: Numbers = None,
        arch_ids: Numbers = None,
        seed: SeedChoice = "mean",
    ) -> FloatArray:
        """(n,) float64 values of one metric for many architectures, or for `indices` or `arch_ids` instead.

        oracle.query_many(["5-10-5-10-5-10", "4-8-4-8-4-8"], "val_best_pgd_acc")
        oracle.query_many(arch_ids=[14935, 1], name="val_best_pgd_acc")
        """
        found = self.space.indices(architectures, indices=indices, arch_ids=arch_ids)
        values = self.column(name, seed=seed)[found]
        absent = np.isnan(values)
        if absent.any():
            raise self._missing(int(found[absent.argmax()]), name, seed)
        return values

    def column(self, name: str, *, seed: SeedChoice = "mean") -> FloatArray:
        """(product_size,) float64 by index, read-only; NaN where the table has nothing (see `available`).

        The arch_ids of its values are `space.arch_ids(indices=range(space.product_size))`.
        """
        if type(seed) is not str:
            check_seed(seed, ("mean",))  # or 1.0 would find what is kept of 1
        try:
            return self._columns[name, seed]
        except (KeyError, TypeError):  # a list as name or seed cannot even be looked up
            check_seed(seed, ("mean",))
            column = self._build_column(name, seed)
        column.flags.writeable = False
        self._columns[name, seed] = column
        return column

    def available(self, *names: str, seed: SeedChoice = "mean") -> NDArray[np.bool_]:
        """(product_size,) bool: which indices have a value of every named metric."""
        out = np.ones(self.space.product_size, dtype=bool)
        for name in names:
            out &= ~np.isnan(self.column(name, seed=seed))
        return out

    def flag(self, name: str) -> NDArray[np.bool_]:
        """(product_size,) bool: whether any row of each architecture carries the mark."""
        out = np.zeros(self.space.product_size, dtype=bool)
        out[self.table.arch_index[np.asarray(self.table.flag(name))]] = True
        return out

    def optimum(
        self, name: str, *, seed: SeedChoice = "mean", constraints: ConstraintsLike = ()
    ) -> tuple[Architecture, float]:
        """The best architecture by one metric that keeps the constraints, and its value; first index on ties.

        Raises:
            MetricError: when the metric has no direction.
        """
        direction = self.metric(name).maximize
        if direction is None:
            raise MetricError(f"{name} has no better or worse, hence no optimum")
        values = self.column(name, seed=seed)
        if limits := self.limits(constraints):
            values = np.where(self.feasible(limits, seed=seed), values, np.nan)
        if np.isnan(values).all():
            told = f" where {', '.join(map(str, limits))}" if limits else ""
            raise self._nothing([name], seed, told)
        best = int(np.nanargmax(values) if direction else np.nanargmin(values))
        return self.space.from_index(best), float(values[best])

    def limits(self, constraints: ConstraintsLike) -> tuple[Constraint, ...]:
        """Read constraints on this table's metrics; see `parse_constraints`."""
        return parse_constraints(constraints, self.table.catalogue, self.metrics)

    def feasible(self, constraints: ConstraintsLike, *, seed: SeedChoice = "mean") -> NDArray[np.bool_]:
        """(product_size,) bool: which indices keep every constraint; not those where its metric is missing."""
        out = np.ones(self.space.product_size, dtype=bool)
        for constraint in self.limits(constraints):
            out &= constraint.excess(self.column(constraint.metric, seed=seed)) == 0
        return out

    def curve(
        self, architecture: ArchitectureLike, name: str, *, epoch: int | None = None, seed: SeedChoice = "mean"
    ) -> FloatArray:
        """(epoch + 1,) float64: values measured after epochs 0..epoch, and none later."""
        index = self.space.index(architecture)
        length = self._curve_length(name, epoch)
        rows = self._rows(index, name, seed)
        values = np.asarray(self.table.curve(name)[rows, :length])
        values = values[~np.isnan(values).any(axis=1)]
        if not len(values):
            raise self._missing(index, name, seed)
        return values.mean(axis=0)

    def corruptions(
        self, architecture: ArchitectureLike, kind: str = "acc", *, seed: SeedChoice = "mean"
    ) -> dict[str, FloatArray]:
        """Corruption name -> (5,) float64 by severity 1..5; `kind` is `acc` (percent) or `loss`.

        Needs a training with all 95 cells; `record` shows the cells there are.
        """
        index = self.space.index(architecture)
        rows = self._rows(index, "test_corrupt_acc", seed)
        cells = np.asarray(self.table.corruptions(kind)[rows])
        cells = cells[~np.isnan(cells).any(axis=(1, 2))]
        if not len(cells):
            raise self._missing(index, f"complete set of corruption {kind}", seed)
        mean = cells.mean(axis=0)
        return {corruption: mean[k] for k, corruption in enumerate(CORRUPTIONS)}

    def record(self, architecture: ArchitectureLike) -> dict[str, Any]:
        """Everything the table holds on one architecture, without what it lacks.

        Returns:
            `arch`, `arch_id`, costs known of the space (`macs`, `params`) and `trainings`: one dict per seed
            with `seed`, scalars, labels, flags, `curves` and `corruptions`.
        """
        index = self.space.index(architecture)
        rows = self._all_rows(index)
        if not len(rows):
            raise self._missing(index, "entry", "mean")
        found = self.space.from_index(index)
        return {
            "arch": found,
            "arch_id": self.space.arch_id(found),
            **{name: int(self.space.known_cost(name, np.array([index]))[0]) for name in self.space.known_costs},
            "trainings": [training_record(self.table, int(row)) for row in rows],
        }

    def seeds(self, architecture: ArchitectureLike) -> tuple[int, ...]:
        """Training seeds the table has for an architecture, ascending; empty for none."""
        return tuple(int(s) for s in self.table.seeds[self._all_rows(self.space.index(architecture))])

    def gpu_days(self, architecture: ArchitectureLike, *, epoch: int | None = None, seed: SeedChoice = "mean") -> float:
        """Simulated cost of training up to `epoch`: the measured time, shared equally by epochs."""
        check_seed(seed, ("mean",))
        total: float = self.query(architecture, "training_time_gpu_days", seed=seed)
        if epoch is None:
            return total
        return total * self._epochs_done(epoch, self.table.epochs) / self.table.epochs

    def searchable_space(self, *objectives: str, seed: SeedChoice = "mean", constraints: ConstraintsLike = ()) -> Grid:
        """The space, restricted to architectures that have all these metrics and keep the limits on known costs.

        Raises:
            ConfigError: when none keeps the limits on known costs.
        """
        parsed = self.limits(constraints)
        key = (objectives, seed, parsed)
        try:
            return self._spaces[key]
        except (KeyError, TypeError):  # a list as objective or seed cannot even be looked up
            names = [*objectives, *(c.metric for c in parsed)]
        present = self.available(*names, seed=seed)
        if not present.any():
            raise self._nothing(names, seed)
        limits = [c for c in parsed if c.known_cost]
        within = present & self.feasible(limits, seed=seed)
        if not within.any():
            ranges = {c.metric: self.column(c.metric)[present] for c in limits}
            told = ", ".join(f"{name} is {v.min():.6g} to {v.max():.6g}" for name, v in ranges.items())
            raise ConfigError(f"no architecture of table {self.name} keeps {', '.join(map(str, limits))}: {told}")
        self._spaces[key] = self.space.restricted_to(indices=np.flatnonzero(within))
        return self._spaces[key]

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.lexsort((self.table.seeds, self.table.arch_index))
        starts = np.searchsorted(self.table.arch_index[order], np.arange(self.table.space.product_size + 1))
        return order, starts

    def _all_rows(self, index: int) -> NDArray[np.int64]:
        """(n,) int64, by ascending seed."""
        order, starts = self._order
        return order[starts[index] : starts[index + 1]]

    def _rows(self, index: int, name: str, seed: SeedChoice | Literal["all"]) -> NDArray[np.int64]:
        rows = self._all_rows(index)
        check_seed(seed, ("mean", "all"))
        if isinstance(seed, str):
            return rows
        rows = rows[self.table.seeds[rows] == seed]
        if not len(rows):
            raise self._missing(index, name, seed)
        return rows

    def _build_column(self, name: str, seed: SeedChoice) -> FloatArray:
        space = self.table.space
        if self.metric(name).name in space.known_costs:  # known for every architecture, trained or not
            return space.known_cost(name, np.arange(space.product_size)).astype(np.float64)
        values, index = self._at_end(name), self.table.arch_index
        keep = ~np.isnan(values)
        if not isinstance(seed, str):
            keep &= np.asarray(self.table.seeds) == seed
        values, index = values[keep], index[keep]
        column = np.full(space.product_size, np.nan)
        column[index] = values
        if (differ := np.bincount(index[values != column[index]], minlength=space.product_size) > 0).any():
            sums, counts = (np.bincount(index, weights, space.product_size)[differ] for weights in (values, None))
            column[differ] = settled(sums / counts)
        return column

    def _at_end(self, name: str) -> FloatArray:
        if self.metric(name).name in self.space.known_costs:
            return self.space.known_cost(name, self.table.arch_index).astype(np.float64)
        return np.asarray(self.table.scalar(name))

    def _at_epoch(self, rows: NDArray[np.int64], name: str, epoch: int) -> FloatArray:
        """(n,) float64, had training stopped after `epoch`."""
        wanted = self.metric(name)
        if wanted.curve is None and name != "best_epoch":
            raise MetricError(f"{name} was measured once, after training; it has no value by epoch")
        length = self._curve_length(wanted.curve or "val_cw_acc", epoch)
        if name.startswith("val_best_"):
            return np.asarray(self.table.curve(str(wanted.curve))[rows, :length]).max(axis=1)
        cw = np.asarray(self.table.curve("val_cw_acc")[rows, :length])
        best = cw.argmax(axis=1)  # first on ties
        values = best if wanted.curve is None else np.asarray(self.table.curve(wanted.curve)[rows, best])
        return np.where(np.isnan(cw).any(axis=1), np.nan, values)

    def _curve_length(self, name: str, epoch: int | None) -> int:
        epochs = self.table.curve(name).shape[1]
        return epochs if epoch is None else self._epochs_done(epoch, epochs)

    def _epochs_done(self, epoch: int, epochs: int) -> int:
        if isinstance(epoch, bool) or not isinstance(epoch, (int, np.integer)) or not 0 <= epoch < epochs:
            allowed = f"epochs run from 0 to {epochs - 1}" if epochs else "it has no values by epoch"
            raise MetricError(f"epoch={epoch!r} is not in table {self.table.name}: {allowed}")
        return int(epoch) + 1

    def _missing(self, index: int, name: str, seed: object) -> MissingEntryError:
        table = self.table
        which = table.space.from_index(index)
        known = [int(s) for s in table.seeds[self._all_rows(index)]]
        if not known:
            return MissingEntryError(
                f"table {table.name} has no entry for {which}; it holds "
                f"{len(np.unique(table.arch_index))} of {table.space.product_size} architectures"
            )
        if not isinstance(seed, str) and seed not in known:
            return MissingEntryError(f"table {table.name} has no training of {which} with seed {seed}; seeds: {known}")
        return MissingEntryError(f"table {table.name} has no {name} for {which}: it was not measured")

    def _nothing(self, names: Sequence[str], seed: object, where: str = "") -> MissingEntryError:
        if not isinstance(seed, str) and seed not in self.table.seeds:
            return unknown_seed(self.table, seed)
        trained = "" if isinstance(seed, str) else f" in trainings with seed {seed}"
        wanted = " and ".join(dict.fromkeys(names))
        return MissingEntryError(f"table {self.table.name} has no value of {wanted} at all{trained}{where}")


def settled(means: FloatArray) -> FloatArray:
    """Means of trainings that differ without their last digits, 12 being kept: what is equal in decimals must tie."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        unit = 10.0 ** (11 - np.floor(np.log10(np.abs(means))))
        rounded: FloatArray = np.where(np.isfinite(unit) & (means != 0), np.round(means * unit) / unit, means)
    return rounded


def training_record(table: Table, row: int) -> dict[str, Any]:
    """One row of a table, without what the table lacks: scalars, labels and flags by name, `curves`, `corruptions`."""
    out: dict[str, Any] = {"seed": int(table.seeds[row])}
    scalars = {name: float(table.scalar(name)[row]) for name in table.scalar_names}
    out |= {name: value for name, value in scalars.items() if value == value}
    labels = {name: str(table.label(name)[row]) for name in table.label_names}
    out |= {name: text for name, text in labels.items() if text}
    out |= {name: bool(table.flag(name)[row]) for name in table.flag_names}
    curves = {name: np.array(table.curve(name)[row]) for name in table.curve_names}
    if curves := {name: curve for name, curve in curves.items() if not np.isnan(curve).any()}:
        out["curves"] = curves
    if cells := corruption_cells(table, row):
        out["corruptions"] = cells
    return out


def corruption_cells(table: Table, row: int) -> dict[str, dict[str, dict[str, float]]]:
    """Corruption -> severity `"1"` to `"5"` -> `acc` (percent) and `loss`, as in the authors' file."""
    grids = {kind: table.corruptions(kind)[row].tolist() for kind in table.corruption_kinds}
    out: dict[str, dict[str, dict[str, float]]] = {}
    for c, corruption in enumerate(CORRUPTIONS):
        for s, severity in enumerate(SEVERITIES):
            cell = {kind: grid[c][s] for kind, grid in grids.items() if grid[c][s] == grid[c][s]}
            if cell:
                out.setdefault(corruption, {})[str(severity)] = cell
    return out


def unknown_seed(table: Table, seed: object) -> MissingEntryError:
    known = shown(np.unique(table.seeds).tolist())
    return MissingEntryError(f"table {table.name} has no training with seed {seed}; seeds: {known}, or mean")


def check_seed(seed: object, allowed: tuple[str, ...]) -> None:
    number = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not number and not (isinstance(seed, str) and seed in allowed):
        words = " or ".join(repr(word) for word in allowed)
        raise MetricError(f"seed={seed!r}: expected an integer or {words}")
