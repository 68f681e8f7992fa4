"""What one table says of another that has the same space, another loss or other images, and few trainings.

    target = mean + a1 (source's main effects) + a2 (source's pairs) + a3 (source's deviations)
             + own main effects + own pairs + own deviation

is the model of `experiments/statistics/hierarchical.py`: a1, a2 and a3 are free, since parts of a source carry over
differently; the target's own parts are shrunk towards none, as much as its trainings say.  A part without variance in
the source is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from experiments.analysis.measured import Measured
from experiments.statistics.exchange import exchange, mean_variance, stratified
from experiments.statistics.hierarchical import Columns, Posterior, fit
from experiments.statistics.intervals import quantile_interval
from nasbench_ar import MissingEntryError, SearchSpace, TableError
from nasbench_ar.arrays import BoolArray, FloatArray, IntArray

PARTS = ("main effects", "pairs", "deviations")
FOLDS = 10
DRAWS = 500
STRATA = 8
_NOTHING = 1e-3  # of a source's standard deviation; parts below carry nothing
_FREE = 1e-6  # prior precision of coefficients that are free, in units of the values' variance
NORMAL_95 = 1.959964


@dataclass(frozen=True, eq=False)
class Source:
    """A table that much is known of, split into parts.

    Attributes:
        parts: (product_size, k) those of `names` in the source's unit.
        posterior: of the model without a source.
    """

    measured: Measured
    names: tuple[str, ...]
    parts: FloatArray
    posterior: Posterior

    @classmethod
    def of(cls, measured: Measured) -> Source:
        known, columns = measured.known, measured.columns
        posterior = fit(columns[known], measured.values[known], np.zeros(int(known.sum())))
        coefficients = posterior.weights @ posterior.means
        main = columns.main @ coefficients[1 : 1 + columns.main.shape[1]]
        pairs = columns.pairs @ coefficients[1 + columns.main.shape[1] :]
        deviations = np.where(known, measured.values - columns.all @ coefficients, 0.0)
        parts = np.stack([main, pairs, deviations], axis=1)
        return cls(measured, PARTS, parts, posterior).told_apart(np.ones(len(known), dtype=bool))

    def told_apart(self, trained: BoolArray) -> Source:
        """With the parts alone that these architectures tell from a constant and from the parts before them."""
        seen = np.concatenate([np.ones((int(trained.sum()), 1)), self.parts[trained]], axis=1)
        least, kept = _NOTHING * np.nanstd(self.measured.values), [0]
        for column in range(1, seen.shape[1]):
            rest = seen[:, column] - seen[:, kept] @ np.linalg.lstsq(seen[:, kept], seen[:, column], rcond=None)[0]
            if np.sqrt(np.mean(rest**2)) > least:
                kept.append(column)
        chosen = [column - 1 for column in kept[1:]]
        return replace(self, names=tuple(self.names[k] for k in chosen), parts=self.parts[:, chosen])

    @cached_property
    def columns(self) -> Columns:
        """What a target's model sees."""
        own = self.measured.columns
        return replace(own, fixed=np.concatenate([own.fixed, self.parts], axis=1))


@dataclass(frozen=True, eq=False)
class Designs:
    """Architectures to train, and the standard errors of the target's mean effects that they leave.

    Attributes:
        chosen: (n,) indices, ascending.
        error: root of the mean variance over the space, of what effects predict, in the source's unit.
        random: (r,) the same of random choices of as many.
        rest: standard deviation of a value around the effects.
    """

    chosen: IntArray
    error: float
    random: FloatArray
    rest: float


def designed(source: Source, n: int, seed: int, random: int = 20, among: IntArray | None = None) -> Designs:
    """I-optimal for a target whose own parts vary as the source's do; as many from each eighth by MACs.

    `among` are the indices to choose from and to predict; all by default.
    """
    space, columns = source.measured.oracle.space, source.columns
    members = space.member_indices.astype(np.int64) if among is None else among
    variances = source.posterior.weights @ np.square(source.posterior.deviations)
    free = np.full(columns.fixed.shape[1], _FREE / np.nanvar(source.measured.values))
    sizes = np.sqrt(np.mean(columns.fixed**2, axis=0))
    at = np.concatenate([columns.fixed / sizes, columns.main, columns.pairs], axis=1)[members]
    own = [np.full(part.shape[1], 1 / v) for part, v in zip((columns.main, columns.pairs), variances, strict=False)]
    precision, noise = np.concatenate([free, *own]), float(variances[2])
    rng = np.random.default_rng(seed)
    strata = _eighths(space.macs_many(indices=members)) if isinstance(space, SearchSpace) else np.zeros_like(members)
    chosen = exchange(at, precision, noise, stratified(strata, n, rng), strata, rng)
    others = [mean_variance(at, precision, noise, rng.choice(len(at), n, replace=False)) for _ in range(random)]
    return Designs(
        members[chosen],
        float(np.sqrt(mean_variance(at, precision, noise, chosen))),
        np.sqrt(others),
        float(np.sqrt(noise)),
    )


def _eighths(macs: IntArray) -> IntArray:
    ranks = np.argsort(np.argsort(macs, kind="stable"), kind="stable")
    return ranks * STRATA // len(macs)


@dataclass(frozen=True, eq=False)
class Way:
    """A way of predicting the target.

    Attributes:
        expected: (product_size,) the target's truth, from all trainings; `variance` likewise.
        unseen: (product_size,) the same of trainings that were not used for it: in cross-validation where one was seen,
            otherwise from all that were; `unseen_variance` likewise, the noise of a training included.
    """

    name: str
    posterior: Posterior
    expected: FloatArray
    variance: FloatArray
    unseen: FloatArray
    unseen_variance: FloatArray

    def quality(self, target: Measured, which: BoolArray) -> tuple[float, float]:
        """As `quality`, of `unseen`."""
        return quality(target.values[which], self.unseen[which], self.unseen_variance[which])


def quality(values: FloatArray, expected: FloatArray, variance: FloatArray) -> tuple[float, float]:
    """Root mean square error, and the share of values inside 95 % intervals; NaN of none."""
    if not len(values):
        return np.nan, np.nan
    off = values - expected
    return float(np.sqrt(np.mean(off**2))), float(np.mean(np.abs(off) <= NORMAL_95 * np.sqrt(variance)))


def seen_by(source: Source) -> dict[str, Columns]:
    """What each way of predicting sees of architectures."""
    plain, both = source.measured.columns, source.columns
    linear = replace(both, main=plain.main[:, :0], pairs=plain.pairs[:, :0])
    mean = replace(linear, fixed=plain.fixed)
    return {"mean of the trainings": mean, "source alone": linear, "target alone": plain, "both": both}


def _way(name: str, columns: Columns, target: Measured, trained: BoolArray, noise: FloatArray) -> Way:
    seen = np.flatnonzero(trained)
    posterior = fit(columns[seen], target.values[seen], noise[seen])
    expected, variance = posterior.moments(columns, np.where(trained, target.values, np.nan), noise)
    unseen, unseen_variance = expected.copy(), variance + noise
    fold = np.random.default_rng(0).permutation(len(seen)) % FOLDS
    for k in range(FOLDS):
        rest, held = seen[fold != k], seen[fold == k]
        unseen[held], of_truth = fit(columns[rest], target.values[rest], noise[rest]).expected(columns[held])
        unseen_variance[held] = of_truth + noise[held]
    return Way(name, posterior, expected, variance, unseen, unseen_variance)


@dataclass(frozen=True, eq=False)
class Choice:
    """An architecture to deploy on the target.

    Attributes:
        expected: its value there; `gain` over the source's best, `regret` below the best of all, each with the draws'
            95 % interval.
    """

    name: str
    index: int
    expected: float
    gain: tuple[float, float, float]
    regret: tuple[float, float, float]


def choices(
    source: Source, target: Measured, trained: BoolArray, noise: FloatArray, way: Way, seed: int
) -> list[Choice]:
    """What the source, its model and the trainings choose, judged by draws of the target's truth."""
    members = target.oracle.space.member_indices
    values = np.where(trained, target.values, np.nan)
    of_effects = source.parts[:, [name in PARTS[:2] for name in source.names]].sum(axis=1)
    at = {"source's best": source.measured.values, "source's effects": of_effects, "both": way.expected}
    picked = {name: int(members[np.nanargmax(column[members])]) for name, column in at.items()}
    places = np.searchsorted(members, list(picked.values()))
    rng, columns = np.random.default_rng(seed), source.columns[members]
    draws = np.empty((DRAWS, len(picked) + 1))
    for row in draws:
        drawn = way.posterior.draw(columns, values[members], noise[members], rng)
        row[:] = [*drawn[places], drawn.max()]
    out = []
    for place, (name, index) in enumerate(picked.items()):
        gain, regret = draws[:, place] - draws[:, 0], draws[:, -1] - draws[:, place]
        out.append(Choice(name, index, float(way.expected[index]), _summary(gain), _summary(regret)))
    return out


def _summary(values: FloatArray) -> tuple[float, float, float]:
    return (float(values.mean()), *quantile_interval(values, 0.95))


def scales(source: Source, posterior: Posterior) -> list[tuple[str, float, float, float]]:
    """Of each part of the source: its name, a, a's standard deviation, and the part's own over the space."""
    first = slice(1, 1 + len(source.names))
    mean = posterior.weights @ posterior.means[:, first]
    covariances = (posterior.roots[:, first] ** 2).sum(axis=2)
    variance = posterior.weights @ (covariances + (posterior.means[:, first] - mean) ** 2)
    return list(zip(source.names, mean, np.sqrt(variance), source.parts.std(axis=0), strict=True))


def check_same_space(source: Measured, target: Measured) -> None:
    """TableError unless both tables have the same entries with the same levels."""
    if source.oracle.space.entries != target.oracle.space.entries:
        raise TableError(
            f"table {target.oracle.name} is of another space than {source.oracle.name}: "
            f"{target.oracle.space!r}, not {source.oracle.space!r}"
        )


@dataclass(frozen=True, eq=False)
class Transfer:
    """What a source says of a target.

    Attributes:
        trained: (product_size,) bool: architectures of the target that were seen.
        judges: (product_size,) bool: those whose measured values judge.
    """

    source: Source
    target: Measured
    trained: BoolArray
    judges: BoolArray
    ways: list[Way]
    choices: list[Choice]

    @property
    def both(self) -> Way:
        return self.ways[-1]


def transfer(
    source: Source, target: Measured, trained: BoolArray, judges: BoolArray, seed_sd: float = 0.0, seed: int = 0
) -> Transfer:
    if not np.ptp(target.values[trained]):
        raise MissingEntryError(f"the {int(trained.sum())} trainings seen of table {target.oracle.name} are all alike")
    source = source.told_apart(trained)
    noise = seed_sd**2 / np.maximum(target.trainings, 1)
    found = [_way(name, columns, target, trained, noise) for name, columns in seen_by(source).items()]
    chosen = choices(source, target, trained, noise, found[-1], seed)
    return Transfer(source, target, trained, judges & ~trained, found, chosen)
