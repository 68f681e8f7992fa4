"""Learning curves of many trainings: spread by epoch, and what is lost after the peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def spread_by_epoch(curves: FloatArray) -> dict[str, object]:
    """Number, mean, standard deviation, and quantiles 10, 50 and 90 % by epoch.

    Args:
        curves: (trainings, epochs) without NaN.
    """
    low, middle, high = np.quantile(curves, (0.1, 0.5, 0.9), axis=0)
    std = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.full(curves.shape[1], np.nan)
    return {"n": len(curves), "mean": curves.mean(axis=0), "std": std, "q10": low, "q50": middle, "q90": high}


def overfitting(curves: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Each training's peak epoch (the first), and how far the last epoch lies below it."""
    return curves.argmax(axis=1), curves.max(axis=1) - curves[:, -1]
