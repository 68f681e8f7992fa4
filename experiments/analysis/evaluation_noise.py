"""How much an accuracy can vary only because the evaluation has finitely many images.

An accuracy p measured on n images has the binomial variance p (1 - p) / n.  All
architectures see the same images, so that they share a part of this noise, and
differences between them are less noisy than the formula says: it is an upper bound.  For
`val_best_*`, maxima over epochs, it is an approximation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_MOST_IMAGES = 100_000


def images_behind(percent: FloatArray) -> int | None:
    """The number of images, from the steps in which measured accuracies vary; None where they show none.

    Accuracies on n images are multiples of 100 / n.  The smallest n is returned for which
    all values are, if they are dense enough to tell: some neighbouring values must be
    exactly one step apart.

    Args:
        percent: (rows,) single measurements in percent, not means over seeds; NaN is skipped.
    """
    values = np.unique(np.round(percent[~np.isnan(percent)], 6))
    if len(values) < 3:
        return None
    images = round(100 / float(np.diff(values).min()))
    counts = values * images / 100
    fits = 0 < images <= _MOST_IMAGES and np.abs(counts - np.round(counts)).max() < 1e-3
    return images if fits else None


def binomial_variance(percent: FloatArray, images: int) -> float:
    """Mean over the values of p (100 - p) / n, in squared points; NaN is skipped."""
    known = percent[~np.isnan(percent)]
    return float((known * (100 - known)).mean() / images)
