"""Seconds that trainings take, estimated from passes, MACs, activations and calls of the network.

    seconds = a * passes * MACs + b * calls * layers + c * passes * activations

once for training with validation and once for the test (`workload` counts passes and
calls).  The second term is the overhead of starting each layer's kernels, and matters for
small networks; the third is the traffic to memory of batch norms and activations, and matters
where a card computes much faster than it reads.  Both are fitted where there are measured
trainings, and 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datagen.cards import COLUMNS, TFLOPS
from datagen.planning.memory import kept_for_backward
from datagen.planning.workload import Images, Workload, workload
from datagen.store.rows import shared_gpu
from nasbench_ar.arrays import FloatArray
from nasbench_ar.errors import ConfigError, quotable
from nasbench_ar.training_cost import NARES_GPU_DAYS

if TYPE_CHECKING:
    from datagen.store.entry import Entry
    from nasbench_ar import SearchSpace

SECONDS_A_DAY = 86_400
PUBLISHED_GPU_DAYS = {"training": NARES_GPU_DAYS, "evaluation": 2_900.0}  # NARes, for the 15,625 architectures
LEAST_FOR_ALL_TERMS = 8  # entries
MFU = 0.4  # assumed share of the peak that convolutions reach; no GPU was measured


Coefficients = tuple[float, float, float]


@dataclass(frozen=True)
class CostModel:
    """Coefficients (a, b, c) and where they come from; errors are root mean squares of the relative residuals."""

    train: Coefficients
    test: Coefficients
    basis: str
    train_error: float | None = None
    test_error: float | None = None

    def seconds(self, load: Workload, sizes: Sizes) -> tuple[FloatArray, FloatArray]:
        """(n,) float64 of training, and of test."""
        train = sizes.columns(load.train_passes, load.train_calls) @ self.train
        return train, sizes.columns(load.test_passes, load.test_calls) @ self.test


@dataclass(frozen=True)
class Sizes:
    """Of networks, (n,) float64 each.

    `layers` are convolutions on the longest way through, `activations` the values of an image that the backward pass
    needs.
    """

    macs: FloatArray
    layers: FloatArray
    activations: FloatArray

    @classmethod
    def of(cls, space: SearchSpace, indices: NDArray[np.integer[Any]]) -> Sizes:
        vectors = space.vectors(indices=indices)
        kept = kept_for_backward(space, vectors, precision="float32").per_image / 4
        return cls(space.macs_many(indices=indices).astype(np.float64), 2.0 * vectors[:, 0::2].sum(axis=1) + 1, kept)

    def columns(self, passes: float, calls: float) -> FloatArray:
        """(n, 3) float64, what the coefficients multiply."""
        return np.stack([passes * self.macs, calls * self.layers, passes * self.activations], axis=1)


def from_entries(entries: Sequence[Entry], space: SearchSpace, load: Workload, name: str) -> CostModel:
    """Least squares over the relative error, coefficients not negative, then scaled to the measured total.

    Entries of shared GPUs serve only where there are no others: their seconds are not those of one training alone.
    """
    timed = [e for e in entries if e.provenance["train_seconds"] > 0 and e.provenance["test_seconds"] > 0]
    alone = [e for e in timed if not shared_gpu(e)]
    beside = "" if alone or not timed else ", all with share=true: too long for one training at a time"
    timed = alone or timed
    if not timed:
        raise ConfigError(f"{name} has no entry to calibrate on; leave store= out, or give gpu_days=")
    sizes, found = Sizes.of(space, space.indices(entry.architecture for entry in timed)), {}
    for phase, passes, calls in (
        ("train", load.train_passes, load.train_calls),
        ("test", load.test_passes, load.test_calls),
    ):
        seconds = np.array([float(entry.provenance[f"{phase}_seconds"]) for entry in timed])
        found[phase] = _fit(sizes.columns(passes, calls), seconds)
    names = sorted({str(entry.provenance["hardware"]["name"]) for entry in timed})
    mixed = " (mixed: an average over them)" if len(names) > 1 else ""
    basis = f"{len(timed)} entries of {name}, made on {', '.join(names)}{mixed}{beside}"
    (train, train_error), (test, test_error) = found["train"], found["test"]
    return CostModel(train, test, basis, train_error, test_error)


def _fit(columns: FloatArray, seconds: FloatArray) -> tuple[Coefficients, float]:
    from scipy.optimize import nnls

    used = columns if len(seconds) >= LEAST_FOR_ALL_TERMS else columns[:, :1]
    relative = used / seconds[:, None]
    scale = relative.max(axis=0)
    coefficients = nnls(relative / scale, np.ones(len(seconds)))[0] / scale
    coefficients *= seconds.sum() / (used @ coefficients).sum()  # relative errors favour estimates that are too low
    error = float(np.sqrt(np.mean((relative @ coefficients - 1) ** 2)))
    a, b, c = (*coefficients.tolist(), 0.0, 0.0)[:3]
    return (a, b, c), error


def from_total(gpu_days: float, load: Workload, macs: FloatArray) -> CostModel:
    """Share GPU-days of trainings and tests together by passes and MACs; `macs` is (n,)."""
    a = gpu_days * SECONDS_A_DAY / ((load.train_passes + load.test_passes) * macs.sum())
    return CostModel((a, 0.0, 0.0), (a, 0.0, 0.0), f"gpu_days={gpu_days:g}, shared out by passes and MACs")


def from_published(space: SearchSpace) -> CostModel:
    """The totals that the dataset's authors published, on their hardware and by their protocol."""
    from datagen.config import AttackConfig, TrainConfig

    images = Images(50_000, 2_000, 10_000, 95 * 10_000, 32, 3, 10)
    load = workload(vars(TrainConfig()), vars(AttackConfig()), images, batch=500)
    macs = float(space.macs_many(indices=np.arange(space.product_size)).sum())
    a, b = (
        PUBLISHED_GPU_DAYS[kind] * SECONDS_A_DAY / (passes * macs)
        for kind, passes in (("training", load.train_passes), ("evaluation", load.test_passes))
    )
    basis = "the published totals, 13.1K GPU-days of training and 2.9K of evaluation for 15,625 architectures"
    return CostModel((a, 0.0, 0.0), (b, 0.0, 0.0), f"{basis}, on their authors' GPUs")


def from_peak(card: str, tflops: float, mfu: float, precisions: tuple[str, str]) -> CostModel:
    """Two operations a MAC at `mfu` of the peak of a card, or of `tflops`; `precisions` of training and of test."""
    if card and card not in TFLOPS:
        raise ConfigError(f"gpu={quotable(card)}: expected one of {', '.join(TFLOPS)}; or give tflops=")
    rates = [TFLOPS[card][COLUMNS[one]] if card else tflops for one in precisions]
    a, b = (2 / (rate * 1e12 * mfu) for rate in rates)
    if card:
        peak = f"{rates[0]:g} TFLOP/s ({precisions[0]}) in training and {rates[1]:g} ({precisions[1]}) in the test"
        peak = f"{card}: {peak} by its data sheet"
    else:
        peak = f"tflops={tflops:g}"
    basis = f"{peak}, times an assumed mfu={mfu:g}; nothing of it is measured"
    return CostModel((a, 0.0, 0.0), (b, 0.0, 0.0), basis)
