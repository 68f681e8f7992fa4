"""Laws of error by size and shape, and their comparison by cross-validation over blocks of the grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.ratios import (
    ROBUST_PRINCIPLE_AIM,
    ROBUST_RESNET_AIM,
    robust_principle_ratio,
    robust_resnet_ratio,
)
from experiments.statistics.power_law import PowerLaw, fit_power_law
from nasbench_ar import SearchSpace
from nasbench_ar.arrays import FloatArray

LEAST = 50  # architectures that a law is fitted on
LARGEST = 0.1  # share of the architectures that the block of the largest holds
Vectors = NDArray[np.int64]


def costs(vectors: NDArray[Any], space: SearchSpace) -> dict[str, FloatArray]:
    """(n,) `macs` and `params` of vectors D1, W1, ..., which need not be members of the space, nor whole."""
    params, macs = space.costs_of(vectors)
    return {"macs": macs.astype(np.float64), "params": params.astype(np.float64)}


def no_shape(vectors: Vectors, _space: SearchSpace) -> FloatArray:
    return np.zeros((len(vectors), 0))


def log_shares(vectors: Vectors, _space: SearchSpace) -> FloatArray:
    """(n, 2 stages - 1) logs of all depths over all widths, and of each later depth and width over the first one."""
    depths, widths = vectors[:, 0::2].astype(np.float64), vectors[:, 1::2].astype(np.float64)
    ratio = np.log(depths.sum(axis=1) / widths.sum(axis=1))
    later = [np.log(of_all[:, 1:] / of_all[:, :1]) for of_all in (depths, widths)]
    return np.column_stack([ratio, *later])


def share_terms(stages: int) -> list[str]:
    """What `log_shares` are, by column."""
    return ["ΣD/ΣW", *(f"{letter}{stage}/{letter}1" for letter in "DW" for stage in range(2, stages + 1))]


def from_robust_resnet(vectors: Vectors, _space: SearchSpace) -> FloatArray:
    """(n, 1) distances of depth's share from 7 in 10."""
    return np.abs(robust_resnet_ratio(vectors) - ROBUST_RESNET_AIM)[:, None]


def from_robust_principle(vectors: Vectors, space: SearchSpace) -> FloatArray:
    """(n, 1) distances of the log ratio from that of the published network."""
    return np.abs(np.log(robust_principle_ratio(vectors, space.unit_channels) / ROBUST_PRINCIPLE_AIM))[:, None]


@dataclass(frozen=True)
class Form:
    """A law's form: error = E + A size^-a, times a factor of shape features if there are any."""

    name: str
    title: str
    size: str
    features: Callable[[Vectors, SearchSpace], FloatArray] = no_shape

    def inputs(self, vectors: Vectors, space: SearchSpace) -> tuple[FloatArray, FloatArray]:
        """(n,) sizes and (n, k) features."""
        return costs(vectors, space)[self.size], self.features(vectors, space)


FORMS = (
    Form("macs", "MACs", "macs"),
    Form("params", "params", "params"),
    Form("macs_resnet", "MACs, RobustResNet", "macs", from_robust_resnet),
    Form("macs_principle", "MACs, RobustPrinciple", "macs", from_robust_principle),
    Form("macs_shape", "MACs, shape", "macs", log_shares),
    Form("params_shape", "params, shape", "params", log_shares),
)
BASE, SHAPED = FORMS[0], FORMS[4]


def forms_of(space: SearchSpace) -> tuple[Form, ...]:
    """Those that the space has stages for."""
    return tuple(form for form in FORMS if space.stages > 1 or form.features is not from_robust_principle)


def by_form(laws: Mapping[str, PowerLaw]) -> list[tuple[Form, PowerLaw]]:
    """Laws by the name of their form, in the order of `FORMS`."""
    return [(form, laws[form.name]) for form in FORMS if form.name in laws]


@dataclass(frozen=True, eq=False)
class Block:
    """Architectures that are held out together; `kind` is largest, edge (an outermost level) or inner."""

    name: str
    kind: str
    held: NDArray[np.bool_]


def blocks(vectors: Vectors, macs: FloatArray, entries: Sequence[str]) -> list[Block]:
    """The largest tenth by MACs, and each level of each entry; none that would leave fewer than `LEAST`."""
    out = [Block("largest tenth by MACs", "largest", macs >= np.quantile(macs, 1 - LARGEST))]
    for position, entry in enumerate(entries):
        levels = np.unique(vectors[:, position])
        for level in levels.tolist():
            kind = "edge" if level in (levels[0], levels[-1]) else "inner"
            out.append(Block(f"{entry} = {level}", kind, vectors[:, position] == level))
    return [block for block in out if (~block.held).sum() >= LEAST]


def cross_validate(
    forms: Sequence[Form], vectors: Vectors, space: SearchSpace, values: FloatArray, held_out: Sequence[Block]
) -> list[dict[str, Any]]:
    """A line per form and block: how far (n,) values of the block are from a law of the rest.

    Its keys: `rmse` and `bias` (predicted minus true) in the values' unit, `coverage` of 95 % intervals and their mean
    `width`.  The form "none" is the mean of the rest.
    """
    rows: list[dict[str, Any]] = []

    def add(form: str, block: Block, predicted: FloatArray, ends: FloatArray | None = None) -> None:
        true = values[block.held]
        error = predicted - true
        row = {"form": form, "block": block.name, "kind": block.kind, "n": len(true)}
        row |= {"rmse": float(np.sqrt((error**2).mean())), "bias": float(error.mean())}
        if ends is not None:
            row["coverage"] = float(((ends[:, 0] <= true) & (true <= ends[:, 1])).mean())
            row["width"] = float((ends[:, 1] - ends[:, 0]).mean())
        rows.append(row)

    for block in held_out:
        add("none", block, np.full(int(block.held.sum()), values[~block.held].mean()))
    for form in forms:
        size, shape = form.inputs(vectors, space)
        start: PowerLaw | None = None
        for block in held_out:
            rest = ~block.held
            law = start = fit_power_law(size[rest], shape[rest], values[rest], start)
            inside = size[block.held], shape[block.held]
            add(form.name, block, law.predict(*inside), law.interval(*inside))
    return rows
