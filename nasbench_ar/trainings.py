"""From the rows of a table to values by architecture, seed and epoch; what the `Oracle` rests on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.errors import MetricError, MissingEntryError, shown
from nasbench_ar.metrics import metric
from nasbench_ar.table import Table

FloatArray = NDArray[np.float64]
SeedChoice = int | Literal["mean"]


class Trainings:
    """The trainings of each architecture in a table.

    Attributes:
        table: the storage below.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._columns: dict[tuple[str, SeedChoice], FloatArray] = {}

    # -- rows ----------------------------------------------------------------

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows sorted by (index, seed), and where each index starts among them."""
        order = np.lexsort((self.table.seeds, self.table.arch_index))
        starts = np.searchsorted(self.table.arch_index[order], np.arange(self.table.space.product_size + 1))
        return order, starts

    def all_rows(self, index: int) -> NDArray[np.int64]:
        """(n,) int64 rows of one architecture by ascending seed."""
        order, starts = self._order
        return order[starts[index] : starts[index + 1]]

    def rows(self, index: int, name: str, seed: SeedChoice | Literal["all"]) -> NDArray[np.int64]:
        """(n,) int64 rows of one architecture that a choice of seeds names.

        Raises:
            MissingEntryError: the one seed that was asked for is not there.
        """
        rows = self.all_rows(index)
        check_seed(seed, ("mean", "all"))
        if isinstance(seed, str):
            return rows
        rows = rows[self.table.seeds[rows] == seed]
        if not len(rows):
            raise self.missing(index, name, seed)
        return rows

    # -- values --------------------------------------------------------------

    def column(self, name: str, seed: SeedChoice) -> FloatArray:
        """(product_size,) float64 by index, read-only, NaN where missing; built when first asked for."""
        try:
            return self._columns[name, seed]
        except (KeyError, TypeError):  # a list as name or seed cannot even be looked up
            check_seed(seed, ("mean",))
            column = self._build_column(name, seed)
        column.flags.writeable = False
        self._columns[name, seed] = column
        return column

    def _build_column(self, name: str, seed: SeedChoice) -> FloatArray:
        space = self.table.space
        if metric(name, self.table.metrics).name in ("macs", "params"):  # known for every architecture, trained or not
            count = space.macs_many if name == "macs" else space.params_many
            return count(indices=np.arange(space.product_size)).astype(np.float64)
        values, index = self.at_end(name), self.table.arch_index
        keep = ~np.isnan(values)
        if not isinstance(seed, str):
            keep &= np.asarray(self.table.seeds) == seed
        count_of = np.bincount(index[keep], minlength=space.product_size)
        if count_of.max(initial=0) <= 1:  # one training each: no rounding by a mean
            column = np.full(space.product_size, np.nan)
            column[index[keep]] = values[keep]
            return column
        with np.errstate(invalid="ignore"):
            return np.bincount(index[keep], weights=values[keep], minlength=space.product_size) / count_of

    def at_end(self, name: str) -> FloatArray:
        """(rows,) float64 of a metric after the whole training."""
        wanted = metric(name, self.table.metrics)
        if wanted.name in ("macs", "params"):
            space = self.table.space
            count = space.macs_many if wanted.name == "macs" else space.params_many
            return count(indices=self.table.arch_index).astype(np.float64)
        return np.asarray(self.table.scalar(name))

    def at_epoch(self, rows: NDArray[np.int64], name: str, epoch: int) -> FloatArray:
        """(n,) float64 of a metric for some rows, had training stopped after `epoch`."""
        wanted = metric(name, self.table.metrics)
        if wanted.curve is None and name != "best_epoch":
            raise MetricError(f"{name} was measured once, after training; it has no value by epoch")
        length = self.curve_length(wanted.curve or "val_cw_acc", epoch)
        if name.startswith("val_best_"):
            return np.asarray(self.table.curve(str(wanted.curve))[rows, :length]).max(axis=1)
        cw = np.asarray(self.table.curve("val_cw_acc")[rows, :length])
        best = cw.argmax(axis=1)  # first on ties
        values = best if wanted.curve is None else np.asarray(self.table.curve(wanted.curve)[rows, best])
        return np.where(np.isnan(cw).any(axis=1), np.nan, values)

    def curve_length(self, name: str, epoch: int | None) -> int:
        """How many values of a curve are known after `epoch`, or after the last one."""
        epochs = self.table.curve(name).shape[1]
        return epochs if epoch is None else self.epochs_done(epoch, epochs)

    def epochs_done(self, epoch: int, epochs: int) -> int:
        """`epoch` + 1, checked against the number of epochs there are."""
        if isinstance(epoch, bool) or not isinstance(epoch, (int, np.integer)) or not 0 <= epoch < epochs:
            allowed = f"epochs run from 0 to {epochs - 1}" if epochs else "it has no values by epoch"
            raise MetricError(f"epoch={epoch!r} is not in table {self.table.name}: {allowed}")
        return int(epoch) + 1

    # -- errors --------------------------------------------------------------

    def missing(self, index: int, name: str, seed: object) -> MissingEntryError:
        """The error for a value that is not there, saying what is."""
        table = self.table
        which = table.space.from_index(index)
        known = [int(s) for s in table.seeds[self.all_rows(index)]]
        if not known:
            return MissingEntryError(
                f"table {table.name} has no entry for {which}; it holds "
                f"{len(np.unique(table.arch_index))} of {table.space.product_size} architectures"
            )
        if not isinstance(seed, str) and seed not in known:
            return MissingEntryError(f"table {table.name} has no training of {which} with seed {seed}; seeds: {known}")
        return MissingEntryError(f"table {table.name} has no {name} for {which}: it was not measured")

    def nothing(self, names: Sequence[str], seed: object, where: str = "") -> MissingEntryError:
        """The error where no architecture has a value, saying which training seeds there are."""
        if not isinstance(seed, str) and seed not in self.table.seeds:
            return unknown_seed(self.table, seed)
        trained = "" if isinstance(seed, str) else f" in trainings with seed {seed}"
        wanted = " and ".join(dict.fromkeys(names))
        return MissingEntryError(f"table {self.table.name} has no value of {wanted} at all{trained}{where}")


def unknown_seed(table: Table, seed: object) -> MissingEntryError:
    """The error for a training seed that a table has not, saying which it has."""
    known = shown(np.unique(table.seeds).tolist())
    return MissingEntryError(f"table {table.name} has no training with seed {seed}; seeds: {known}, or mean")


def check_seed(seed: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is neither an integer nor one of the allowed words.

    Raises:
        MetricError: says what is allowed.
    """
    number = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not number and not (isinstance(seed, str) and seed in allowed):
        words = " or ".join(repr(word) for word in allowed)
        raise MetricError(f"seed={seed!r}: expected an integer or {words}")
