"""What an epoch of training costs: one epoch, or measured or estimated GPU-days.

Tables of the authors' release have measured training times.  Otherwise the time is taken
to be proportional to MACs, with the total that NARes gives: 13.1 thousand GPU-days for
15,625 architectures, 100 epochs each on CIFAR-10.  Such costs order architectures of any
table; in days they mean CIFAR-10 on the authors' GPUs.  Show `label` wherever a cost is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.errors import ConfigError
from nasbench_ar.space import NARES, SearchSpace, wide_resnets
from nasbench_ar.values import SeedChoice, Values

UNITS = ("epochs", "gpu_days")
NARES_GPU_DAYS = 13_100.0
NARES_EPOCHS = 100

_MEASURED = "training_time_gpu_days"


@dataclass(frozen=True)
class TrainingCost:
    """The price of an epoch of each architecture: (product_size,) float64 by index, NaN where unknown."""

    unit: str
    label: str
    per_epoch: NDArray[np.float64]


def training_cost(
    oracle: Values, unit: str, *, indices: NDArray[np.integer[Any]], epochs: int, seed: SeedChoice = "mean"
) -> TrainingCost:
    """Prices for a search among some architectures; never a mixture of measured and estimated times."""
    if unit not in UNITS:
        raise ConfigError(f"unit={unit!r}: expected {' or '.join(UNITS)}")
    if unit == "epochs":
        return TrainingCost(unit, "epochs", np.ones(oracle.space.product_size))
    known = 0
    if _MEASURED in oracle.metrics:
        days = oracle.column(_MEASURED, seed=seed)
        known = int((days[indices] > 0).sum())
        if known == len(indices):
            return TrainingCost(unit, "GPU-days, measured", days / epochs)
    reason = f"; {known} of {len(indices)} architectures have a measured time" if known else ""
    label = (
        f"GPU-days; cost: estimated from MACs ({NARES_GPU_DAYS / 1000:.1f}K GPU-days for the {NARES.size:,} "
        f"architectures and {NARES_EPOCHS} epochs of NARes{reason})"
    )
    return TrainingCost(unit, label, estimated_gpu_days(wide_resnets(oracle.space, "unit=gpu_days")))


def estimated_gpu_days(space: SearchSpace) -> NDArray[np.float64]:
    """(product_size,) float64 GPU-days of one epoch, proportional to MACs."""
    total = NARES.macs_many(indices=np.arange(NARES.product_size)).sum()
    return space.macs_many(indices=np.arange(space.product_size)) * (NARES_GPU_DAYS / NARES_EPOCHS / total)
