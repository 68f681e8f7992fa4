"""One metric of a table of any finite space, as the hierarchical model takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.seed_noise import images_behind
from experiments.statistics.factorial import contrasts, design
from experiments.statistics.hierarchical import LEAST, Columns
from nasbench_ar import Grid, MetricError, MissingEntryError, Oracle
from nasbench_ar.arrays import FloatArray

_GROUP, _GROUPS = 50, 10  # repeated architectures that share an estimate, and most such groups


@dataclass(frozen=True, eq=False)
class Measured:
    """One metric of a table, on its whole grid, turned so that more is better.

    Attributes:
        values: (product_size,) means over the trainings; NaN where missing or left out.
        trainings: (product_size,) how many are in each mean.
        squares: (product_size,) sums of squares of trainings around their mean.
        left_out: flag -> number of architectures that carry it.
        images: evaluation images that show in the values; None where none do.
    """

    oracle: Oracle
    metric: str
    columns: Columns
    values: FloatArray
    trainings: NDArray[np.int64]
    squares: FloatArray
    left_out: Mapping[str, int]
    images: int | None

    @classmethod
    def of(cls, oracle: Oracle, metric: str, marks: Mapping[str, NDArray[np.bool_]]) -> Measured:
        """Read a metric that has a direction; `marks` are of architectures to leave out."""
        maximize = oracle.metric(metric).maximize
        if maximize is None or metric not in oracle.table.scalar_names:
            fitting = [m for m in oracle.table.scalar_names if oracle.metric(m).maximize is not None]
            raise MetricError(
                f"table {oracle.name}: {metric} is not measured, or is no better or worse; give {', '.join(fitting)}"
            )
        size, out = oracle.space.product_size, np.zeros(oracle.space.product_size, dtype=bool)
        for mark in marks.values():
            out |= mark
        index, single = oracle.table.arch_index, np.asarray(oracle.table.scalar(metric))
        kept = ~np.isnan(single) & ~out[index]
        index, single = index[kept], single[kept]
        values = np.where(out, np.nan, oracle.column(metric))
        if (known := int((~np.isnan(values)).sum())) < LEAST or not np.ptp(single):
            raise MissingEntryError(
                f"table {oracle.name} has {known} values of {metric} to go by; {LEAST} are needed, not all alike"
            )
        return cls(
            oracle,
            metric,
            grid_columns(oracle.space),
            values if maximize else -values,
            np.bincount(index, minlength=size).astype(np.int64),
            np.bincount(index, (single - values[index]) ** 2, minlength=size).astype(np.float64),
            {flag: int(mark.sum()) for flag, mark in marks.items()},
            images_behind(single) if oracle.metric(metric).unit == "%" else None,
        )

    @property
    def known(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.values)

    @property
    def sign(self) -> int:
        return 1 if self.oracle.metric(self.metric).maximize else -1

    @property
    def shown(self) -> FloatArray:
        """The values as in the table."""
        return self.sign * self.values

    @property
    def best(self) -> int:
        return int(np.nanargmax(self.values))

    @property
    def repeated(self) -> NDArray[np.bool_]:
        return self.trainings > 1

    def binomial(self, images: int) -> FloatArray:
        """(product_size,) variances of a share of that many images, in steps of 5 % so that many are equal."""
        rate = np.clip(np.nan_to_num(self.shown, nan=50.0), 100 / (images + 2), 100 - 100 / (images + 2))
        return np.exp(np.round(np.log(rate * (100 - rate) / images) * 20) / 20)

    def within(self) -> tuple[FloatArray, int]:
        """(product_size,) variance of one training, and the degrees of freedom behind that of the best.

        Architectures of similar values share an estimate, since noise may shrink where a metric is good.
        """
        order = np.flatnonzero(self.repeated)
        order = order[np.argsort(self.values[order], kind="stable")]
        groups = np.array_split(order, np.clip(len(order) // _GROUP, 1, _GROUPS))
        freedom = [int((self.trainings[group] - 1).sum()) for group in groups]
        variances = np.array([self.squares[g].sum() / f for g, f in zip(groups, freedom, strict=True)])
        starts = [self.values[group[0]] for group in groups[1:]]
        return variances[np.searchsorted(starts, np.nan_to_num(self.values), side="right")], freedom[-1]


def grid_columns(space: Grid) -> Columns:
    """Of all vectors of a grid, by index; levels count by rank."""
    bases = [contrasts(range(len(entry.choices))) for entry in space.entries]
    every, degrees = design(np.arange(space.product_size), bases)
    order = (np.array(degrees) > 0).sum(axis=1)
    return Columns(every[:, order == 0], every[:, order == 1], every[:, order == 2])
