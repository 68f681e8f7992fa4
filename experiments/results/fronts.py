"""Races with several objectives: fronts and hypervolumes in place of incumbents.

The hypervolume is what the queried architectures dominate above the *reference point*: the worst value of each
objective among the architectures that may be chosen.  It is divided by that of the table's exact front, so 1 means
that the whole front was found; an architecture that is worst in one objective adds nothing.  Each objective is first
scaled to 0..1 between its worst and best value, which changes no ratio but keeps the products in range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.races.store import Runs
from experiments.results.read import Stored
from experiments.results.summary import HEADER as SUMMARY_HEADER
from experiments.statistics.intervals import spread
from experiments.tables import as_markdown, csv_text, interval, plus_minus
from nasbench_ar import Oracle
from nasbench_ar.arrays import FloatArray
from nasbench_ar.pareto import hypervolume, non_dominated

HEADER = (SUMMARY_HEADER[0], *SUMMARY_HEADER[1:3])


@dataclass(frozen=True)
class Cloud:
    """All architectures that may be chosen, as points of the objectives.

    Attributes:
        points: (product_size, objectives) scaled to 0 (worst) .. 1 (best), NaN for what may not be chosen.
        values: (product_size, objectives) in the metrics' units.
        worst: (objectives,) reference point, in the metrics' units.
    """

    objectives: tuple[str, ...]
    points: FloatArray
    values: FloatArray
    worst: FloatArray

    @classmethod
    def of(
        cls, oracle: Oracle, objectives: Sequence[str], constraints: Sequence[str] = (), seed: Any = "mean"
    ) -> Cloud:
        values = np.stack([oracle.column(name, seed=seed) for name in objectives], axis=1)
        limits = oracle.limits(constraints)
        space = oracle.searchable_space(*objectives, seed=seed, constraints=limits)
        chosen = np.zeros(len(values), dtype=bool)
        chosen[space.member_indices] = True
        chosen &= oracle.feasible(limits, seed=seed)
        upwards = [bool(oracle.metric(name).maximize) for name in objectives]
        turned = np.where(chosen[:, None], np.where(upwards, values, -values), np.nan)
        low, high = np.nanmin(turned, axis=0), np.nanmax(turned, axis=0)
        worst = np.where(upwards, low, -low)
        return cls(tuple(objectives), (turned - low) / np.where(high > low, high - low, 1.0), values, worst)

    @cached_property
    def front(self) -> NDArray[np.int64]:
        """(n,) indices of the exact front, the best by the first objective first."""
        known = np.flatnonzero(~np.isnan(self.points).any(axis=1))
        front = known[non_dominated(self.points[known])]
        return front[np.lexsort((front, -self.points[front, 0]))]

    @cached_property
    def volume(self) -> float:
        return self.volume_of(self.points[self.front])

    def volume_of(self, points: FloatArray) -> float:
        return hypervolume(points, np.zeros(points.shape[1]))


@dataclass(frozen=True)
class Fronts:
    """What the runs of one searcher have found.

    Attributes:
        volumes: (runs, queries) hypervolume after every query over the exact front's, 0 to 1; NaN where that has none.
        on_front: (runs, queries) whether the query is on the run's own final front.
        exact: (runs, exact front) whether the run found that point.
    """

    name: str
    cloud: Cloud
    runs: Runs
    volumes: FloatArray
    on_front: NDArray[np.bool_]
    exact: NDArray[np.bool_]

    @property
    def measures(self) -> dict[str, FloatArray]:
        """Label -> (runs,) value after the last query."""
        return {
            "Hypervolume, share of the exact front's": self.volumes[:, -1],
            "Share of the exact front found": self.exact.mean(axis=1),
            "Architectures on the run's front": self.on_front.sum(axis=1).astype(np.float64),
        }


def measure(name: str, cloud: Cloud, runs: Runs) -> Fronts:
    shape = runs.arch_index.shape
    volumes, on_front = np.zeros(shape), np.zeros(shape, dtype=bool)
    front_points = cloud.points[cloud.front]
    exact = np.zeros((shape[0], len(front_points)), dtype=bool)
    for row, indices in enumerate(runs.arch_index):
        points = np.where(indices[:, None] >= 0, cloud.points[np.maximum(indices, 0)], np.nan)
        volumes[row] = anytime_volumes(points, cloud) / (cloud.volume or np.nan)
        kept = np.flatnonzero(~np.isnan(points).any(axis=1))
        on_front[row, kept[non_dominated(points[kept])]] = True
        exact[row] = (points[kept][:, None] == front_points).all(axis=2).any(axis=0)
    return Fronts(name, cloud, runs, volumes, on_front, exact)


def anytime_volumes(points: FloatArray, cloud: Cloud) -> FloatArray:
    """(queries,) hypervolume of the first 1, 2, ... points; NaN points (infeasible, after the end) add nothing."""
    out = np.zeros(len(points))
    front = np.empty((0, points.shape[1]))
    volume = 0.0
    for n, point in enumerate(points):
        if not np.isnan(point).any() and not (front >= point).all(axis=1).any():
            front = np.concatenate([front[~(front <= point).all(axis=1)], point[None]])
            volume = cloud.volume_of(front)
        out[n] = volume
    return out


def fronts_of(stored: Stored) -> Fronts:
    """What the stored runs of one searcher have found."""
    race = stored.race
    return measure(
        stored.name, Cloud.of(stored.oracle, race.objectives, race.constraints, race.table_seed), stored.runs
    )


def front_cells(fronts: Fronts) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for label, values in fronts.measures.items():
        found = spread(values)
        text = plus_minus(found.mean, found.std) if found.mean > 2 else plus_minus(found.mean, found.std, 4)
        lines.append((label, text, interval(found.interval)))
    return lines


def fronts_csv(fronts: Fronts) -> str:
    lines = []
    for name, values in zip(("hypervolume", "exact_front_found", "front_size"), fronts.measures.values(), strict=True):
        found = spread(values)
        lines.append([name, found.mean, found.std, *found.interval, len(values)])
    return csv_text(["measure", "mean", "std", "ci_low", "ci_high", "runs"], lines)


def front_csv(fronts: Fronts, oracle: Oracle) -> str:
    """The exact front: `arch_id, arch`, the objectives in their units, and the share of runs that found the point."""
    cloud = fronts.cloud
    lines = []
    for index, found in zip(cloud.front.tolist(), fronts.exact.mean(axis=0).tolist(), strict=True):
        architecture = oracle.space.from_index(index)
        values = cloud.values[index].tolist()
        lines.append([oracle.space.arch_id(architecture), str(architecture), *values, found])
    return csv_text(["arch_id", "arch", *cloud.objectives, "found"], lines)


def fronts_text(fronts: Fronts, oracle: Oracle, queries: int, constraints: Sequence[str] = ()) -> str:
    cloud, runs = fronts.cloud, fronts.runs
    worst = ", ".join(f"{name} {value:.6g}" for name, value in zip(cloud.objectives, cloud.worst, strict=True))
    lines = [
        f"{fronts.name}: {len(runs.seeds)} runs of {queries} queries, objectives {', '.join(cloud.objectives)}",
        "",
        f"Table {oracle.name}: {oracle.title}",
        "",
        as_markdown(HEADER, front_cells(fronts)),
        f"Exact front: {len(cloud.front)} architectures. Reference point, the worst of each objective: {worst}.",
    ]
    if not cloud.volume:
        lines.append("No architecture is better than the worst by every objective: there is no hypervolume to share.")
    if constraints:
        lines.append(f"Constraint {', '.join(constraints)}: front, reference point and volumes are of what keeps it.")
    lines.append(f"Repeated proposals (free): {runs.repeats.mean():.1f} a run.")
    if runs.early:
        lines.append(runs.early)
    return "\n".join(lines) + "\n"
