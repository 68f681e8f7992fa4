"""A table made of a data frame; `TableWriter.from_frame` is its face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.entry import Entry, plain
from nasbench_ar.errors import TableError, shown
from nasbench_ar.grid import Grid
from nasbench_ar.metrics import METRICS, Metric

if TYPE_CHECKING:
    import pandas as pd


def grid_of(frame: pd.DataFrame, entries: Iterable[Entry | str]) -> Grid:
    """A grid whose entries are columns; a name alone takes the levels that are there."""
    import pandas as pd

    if not len(frame):
        raise TableError("the frame has no rows")
    found = []
    for entry in entries:
        name = entry.name if isinstance(entry, Entry) else entry
        values = _column(frame, name)
        if missing := int(pd.isna(values).sum()):
            raise TableError(f"column {name} lacks a level in {missing} rows; fill them, or leave these rows out")
        if isinstance(entry, Entry):
            found.append(entry)
            continue
        levels = [plain(value) for value in values.tolist()]
        if odd := [level for level in levels if not isinstance(level, (int, float, str))]:
            raise TableError(
                f"column {name} holds {shown(odd[0])}; levels are numbers, booleans and texts: make it one of these"
            )
        different = list(dict.fromkeys(levels))
        numbers = all(isinstance(level, (int, float)) and not isinstance(level, bool) for level in different)
        found.append(Entry(name, tuple(sorted(different) if numbers else sorted(different, key=str)), ordered=numbers))
    return Grid(found)


def indices_of(frame: pd.DataFrame, space: Grid) -> NDArray[np.int32]:
    """(rows,) lexicographic index of every row."""
    columns = [_column(frame, name).tolist() for name in space.entry_names]
    return np.fromiter((space.index(levels) for levels in zip(*columns, strict=True)), dtype=np.int32)


def seeds_of(frame: pd.DataFrame, seed: str | None) -> NDArray[np.int64]:
    """(rows,) training seeds: a column of whole numbers, or all 0."""
    if seed is None:
        return np.zeros(len(frame), dtype=np.int64)
    values = _column(frame, seed)
    if values.dtype.kind not in "iu":
        raise TableError(f"column {seed}: seeds are whole numbers; its type is {values.dtype}")
    if len(values) and values.max() > np.iinfo(np.int64).max:
        raise TableError(f"column {seed}: seed {values.max()} needs more than 63 bits")
    return values.astype(np.int64)


def scalars_of(frame: pd.DataFrame, metrics: Sequence[Metric | str]) -> dict[str, NDArray[np.float64]]:
    """Metric -> (rows,) values, NaN where missing."""
    import pandas as pd

    out = {}
    for name in (metric if isinstance(metric, str) else metric.name for metric in metrics):
        if name not in METRICS and name in metrics:
            raise TableError(
                f"metrics: {shown(name)} is not in the catalogue, so that its unit and direction are unknown; "
                "give a Metric(...) instead of its name"
            )
        if name in METRICS and METRICS[name].before_training:
            raise TableError(
                f"metrics: {name} follows from a wide residual network, which a frame is not known to hold; leave it "
                "out, or give its column another name and a Metric(...)"
            )
        values = _column(frame, name)
        known = values[~pd.isna(values)] if values.dtype.kind == "O" else values[:0]
        if values.dtype.kind not in "iufO" or any(isinstance(value, (str, bool, np.bool_)) for value in known):
            raise TableError(f"column {name} holds something else than numbers: its type is {values.dtype}")
        try:
            out[name] = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TableError(f"column {name} holds something else than numbers: {error}") from None
        if np.isnan(out[name]).all():
            raise TableError(f"column {name} has no value in any row; leave the metric out")
    return out


def _column(frame: pd.DataFrame, name: str) -> NDArray[Any]:
    if name not in frame.columns:
        raise TableError(f"the frame has no column {shown(name)}; it has {', '.join(map(str, frame.columns))}")
    if list(frame.columns).count(name) > 1:
        raise TableError(f"the frame has several columns {shown(name)}")
    return frame[name].to_numpy()
