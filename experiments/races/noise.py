"""What an accuracy that was measured on finitely many images tells, and what a search sees of it.

`noise=run` and `noise=query` show the searcher Binomial(images, rate) draws in place of the table's values, which are
taken for the true rates: a search can then be seen to over-fit the validation set.  Queries are unique, and a repeated
architecture gets its first draw again, so both have the same law; they differ in what is shared.

- `run`: one noisy table per seed, drawn at once: all searchers of a seed see the same.
- `query`: drawn as the queries come, from the seed: what two searchers see of one architecture is independent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nasbench_ar import ConfigError, MetricError, Oracle, SearchSpace
from nasbench_ar.arrays import FloatArray

IMAGES = 2000  # CIFAR-10.1 v6 (NARes, section 3.2)
_STREAM = 0x6E6F6973  # keeps the draws apart from a searcher's own, which have the same seed
_ONE_SIDED_5_PERCENT = 1.6448536269514722  # standard normal quantile


def standard_error(percent: FloatArray | float, images: int = IMAGES) -> FloatArray:
    """Binomial standard error of an accuracy, both in percent."""
    rate = np.asarray(percent, dtype=np.float64) / 100
    return 100 * np.sqrt(rate * (1 - rate) / images)


def tied_with_best(percent: FloatArray, images: int = IMAGES, *, maximize: bool = True) -> NDArray[np.bool_]:
    """(n,) bool: not significantly behind the best, one-sided 5 %, unpaired two-proportion z-test; NaN never is."""
    best = np.nanmax(percent) if maximize else np.nanmin(percent)
    limit = _ONE_SIDED_5_PERCENT * np.hypot(standard_error(best, images), standard_error(percent, images))
    return np.nan_to_num(abs(best - percent), nan=np.inf) <= limit


def redraw(percent: FloatArray, images: int, rng: np.random.Generator) -> FloatArray:
    """Measure accuracies without NaN again on other images: Binomial(images, rate), in percent."""
    return 100 * rng.binomial(images, np.clip(percent / 100, 0, 1)) / images


def observer(column: FloatArray, noise: str, *, images: int, seed: int) -> Callable[[int, float], float] | None:
    """What `Oracle.session(observe=...)` takes, for a (product_size,) column in percent; None for `noise=none`."""
    if noise == "none":
        return None
    rng = np.random.default_rng([seed, _STREAM])
    if noise == "run":
        seen = redraw(np.nan_to_num(column), images, rng)
        return lambda index, _: float(seen[index])
    return lambda _, value: float(redraw(np.array([value]), images, rng)[0])


def accuracies(oracle: Oracle, split: str) -> list[str]:
    """Metrics of a split in percent, errors among them."""
    return [m for m in oracle.metrics if (oracle.metric(m).split, oracle.metric(m).unit) == (split, "%")]


def check_noise(oracle: Oracle, objective: str) -> None:
    """Refuse objectives that no binomial draw can stand for: all but validation accuracies in percent."""
    oracle.metric(objective)  # refuses one that there is not
    if objective not in (fitting := accuracies(oracle, "val")):
        raise MetricError(
            f"noise= redraws validation images, and {objective} is no validation accuracy in percent; "
            f"table {oracle.name} has {', '.join(fitting) or 'none'}"
        )


def images_of(oracle: Oracle, given: int | None) -> int:
    """Number of validation images: as given, or as the table tells, or the NARes protocol's 2,000."""
    if given is not None:
        return given
    dataset = oracle.table.meta["source"].get("dataset")
    told = (dataset.get("val") or {}).get("images") if isinstance(dataset, dict) else None
    if isinstance(told, int) and told > 0:
        return told
    if oracle.space == SearchSpace():
        return IMAGES
    raise ConfigError(f"table {oracle.name} does not tell how many validation images there were; give images=")


def images_behind(oracle: Oracle, metric: str, given: int | None = None) -> int | None:
    """Number of images, as given or told, of a validation accuracy in percent; None for others, or if it is unknown."""
    if oracle.metric(metric).split != "val" or oracle.metric(metric).unit != "%":
        return None
    try:
        return images_of(oracle, given)
    except ConfigError:
        return None
