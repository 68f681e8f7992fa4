"""What the analyses see of a table: columns by architecture, without what is left out.

    data = TableData.of(oracle, leave_out=("low_mode",))
    data.column("test_pgd_acc")     # (product_size,) NaN where missing or left out

By default `low_mode` and `objective_imputed` are left out, where a table has these flags.  The first marks networks of
a defective training site, which say nothing about architecture; the second, values that an additive model made, which
would count as evidence for additivity.  Both marks were set with the help of an additive model, so without `low_mode`
the rest looks somewhat more additive than it is: check conclusions that depend on it with `leave_out=none` too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nasbench_ar import ConfigError, MissingEntryError, Oracle, SearchSpace
from nasbench_ar.arrays import FloatArray
from nasbench_ar.metrics import Metric
from nasbench_ar.space import wide_resnets

LEAST = 10  # architectures; of fewer, a distribution, a fit or a correlation says nothing
DEFAULT_FLAGS = ("low_mode", "objective_imputed")


def leave_out_flags(words: str) -> list[str] | None:
    """Flags of a comma list; an empty one for `none`, None (the default) for no words at all."""
    if not words:
        return None
    return [] if words == "none" else [word.strip() for word in words.split(",")]


def flagged(oracle: Oracle, leave_out: Sequence[str] | None = None) -> dict[str, NDArray[np.bool_]]:
    """Flag -> (product_size,) bool: what carries it; None takes those of `DEFAULT_FLAGS` that the table has.

    Raises:
        ConfigError: on a flag that the table does not have.
    """
    flags = oracle.table.flag_names
    chosen = [flag for flag in DEFAULT_FLAGS if flag in flags] if leave_out is None else leave_out
    for flag in chosen:
        if flag not in flags:
            raise ConfigError(
                f"leave_out={flag}: table {oracle.name} has no such flag; it has "
                f"{', '.join(flags) or 'none'}; leave_out=none leaves nothing out"
            )
    return {flag: oracle.flag(flag) for flag in chosen}


@dataclass(frozen=True, eq=False)
class TableData:
    """A table and the architectures that an analysis is about.

    Attributes:
        kept: (product_size,) bool by index: not left out by a flag.
        left_out: flag -> number of architectures that carry it.
        images: evaluation images behind an accuracy, by split, where the user knows them.
    """

    oracle: Oracle
    kept: NDArray[np.bool_]
    left_out: Mapping[str, int]
    images: Mapping[str, int]

    @classmethod
    def of(
        cls, oracle: Oracle, leave_out: Sequence[str] | None = None, images: Mapping[str, int] | None = None
    ) -> TableData:
        """Choose the architectures.

        Args:
            leave_out: flags; None takes those of `DEFAULT_FLAGS` that the table has.
            images: evaluation images by split, `val` or `test`; by default they are derived from the values.

        Raises:
            ConfigError: on a flag that the table does not have.
            SpaceError: when its architectures are no wide residual networks.
        """
        wide_resnets(oracle.space, "an analysis of the table")
        marks = flagged(oracle, leave_out)
        kept = np.ones(oracle.space.product_size, dtype=bool)
        for mark in marks.values():
            kept &= ~mark
        return cls(oracle, kept, {flag: int(mark.sum()) for flag, mark in marks.items()}, dict(images or {}))

    @property
    def note(self) -> str:
        if not self.left_out:
            flags = [flag for flag in DEFAULT_FLAGS if flag in self.oracle.table.flag_names]
            return f"nothing left out, {' and '.join(flags)} included" if flags else "nothing left out"
        listed = " and ".join(f"{flag} ({count:,})" for flag, count in self.left_out.items())
        return f"left out: {listed}; {int(self.kept.sum()):,} of {len(self.kept):,} architectures remain"

    @property
    def space(self) -> SearchSpace:
        return wide_resnets(self.oracle.space, "an analysis of the table")

    @property
    def entries(self) -> tuple[str, ...]:
        """`D1`, `W1`, ...: names of a vector's entries."""
        return self.oracle.space.entry_names

    @cached_property
    def vectors(self) -> NDArray[np.int64]:
        """(product_size, entries) int64 vectors by index."""
        return self.oracle.space.vectors(indices=np.arange(self.oracle.space.product_size))

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Choices of each entry."""
        return tuple(self.oracle.space.choices(position) for position in range(self.oracle.space.dimensions))

    def column(self, name: str) -> FloatArray:
        """(product_size,) float64, mean over the seeds, NaN where missing or left out."""
        return np.where(self.kept, self.oracle.column(name), np.nan)

    def has(self, name: str) -> bool:
        """Whether any kept architecture has the metric."""
        return name in self.oracle.metrics and not np.isnan(self.column(name)).all()

    def varies(self, name: str) -> bool:
        """Whether two kept architectures differ in the metric."""
        values = self.column(name)[self.known(name)]
        return len(values) > 0 and values.min() < values.max()

    def metrics(self, *, unit: str | None = None, split: str | None = None) -> list[Metric]:
        """Metrics that have values, in the table's order; `cost` among them."""
        chosen = [self.oracle.metric(name) for name in self.oracle.metrics if self.has(name)]
        return [m for m in chosen if unit in (None, m.unit) and split in (None, m.split)]

    def accuracies(self, split: str | None = None) -> list[str]:
        """Names of the accuracies, stable accuracies not among them."""
        return [m.name for m in self.metrics(unit="%", split=split) if m.name.endswith("_acc")]

    def enough(self, groups: Iterable[tuple[str, ...]], what: str, least: int = LEAST) -> list[tuple[str, ...]]:
        """Those groups of metrics that at least `least` kept architectures have all of; `what` is for the error.

        Raises:
            MissingEntryError: when there is none; says how many architectures the best of them has.
        """
        there = [group for group in groups if all(name in self.oracle.metrics for name in group)]
        counts = {group: len(self.known(*group)) for group in there}
        most = max(counts.values(), default=0)
        if not most:
            raise MissingEntryError(f"table {self.oracle.name} has no {what}")
        if most < least:
            found = f"{most} architecture{'s have' if most > 1 else ' has'}"
            raise MissingEntryError(f"table {self.oracle.name}: {found} a value; at least {least} are needed")
        return [group for group, count in counts.items() if count >= least]

    def shown_accuracies(self, least: int = LEAST) -> list[str]:
        """Accuracies, test or else validation, that enough architectures have; MissingEntryError for none."""
        names = [(name,) for split in ("test", "val") for name in self.accuracies(split)]
        found = [name for (name,) in self.enough(names, "accuracy of a validation or test set", least)]
        return [name for name in found if self.oracle.metric(name).split == self.oracle.metric(found[0]).split]

    def robust_accuracy(self, least: int = LEAST) -> str:
        """Test PGD20 accuracy, or the nearest that enough architectures have; MissingEntryError for none."""
        names = ("test_pgd_acc", "test_cw_acc", "test_fgsm_acc", "val_pgd_acc", "val_best_pgd_acc", "val_cw_acc")
        return self.enough([(name,) for name in names], "accuracy under attack", least)[0][0]

    def known(self, *names: str) -> NDArray[np.int64]:
        """(n,) indices of the kept architectures that have all of these metrics."""
        present = self.kept.copy()
        for name in names:
            present &= ~np.isnan(self.oracle.column(name))
        return np.flatnonzero(present)
