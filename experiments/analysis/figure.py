"""What a figure is: numbers made of a table, and a drawing made of these numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.table_data import TableData
from experiments.plots.style import footnote, print_style
from nasbench_ar import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Numbers:
    """What a figure shows: parts, which become CSV files (the main one is ""), findings in words, and the foot."""

    tables: Mapping[str, pd.DataFrame]
    lines: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Figure:
    """One figure; `numbers` raises MissingEntryError where the table lacks what `needs` says in words."""

    name: str
    title: str
    needs: str
    numbers: Callable[[TableData], Numbers]
    draw: Callable[[Numbers], Drawing]

    @property
    def stem(self) -> str:
        return f"figure{self.name}" if self.name.isdigit() else self.name


def foot(data: TableData) -> str:
    """Table, what its numbers are, where they differ from the paper's, and what is left out."""
    oracle = data.oracle
    differs = sorted(set(oracle.table.meta["differs"].values()), key=len)
    parts = [f"table {oracle.name}: {oracle.title}", *([f"measured otherwise: {differs[-1]}"] if differs else [])]
    return "; ".join([*parts, data.note])


def architectures(data: TableData, indices: NDArray[np.int64], *names: str) -> pd.DataFrame:
    """One line per architecture: `arch_id`, `arch`, entries, and the named metrics."""
    import pandas as pd

    space = data.oracle.space
    vectors = data.vectors[indices]
    columns: dict[str, object] = {
        "arch_id": space.arch_ids(indices=indices),
        "arch": [str(space.from_index(index)) for index in indices.tolist()],
    }
    columns |= {entry: vectors[:, position] for position, entry in enumerate(data.entries)}
    columns |= {name: data.column(name)[indices] for name in names}
    return pd.DataFrame(columns)


def label(name: str, *, unit: bool = True) -> str:
    if (metric := METRICS.get(name)) is None:  # a table's own
        return name
    shown = {"GPU-days": "GPU-days", "%": "%"}.get(metric.unit, "")
    return metric.label.replace(", max over epochs", " (max)") + (f" ({shown})" if unit and shown else "")


def in_print_style(draw: Callable[[Numbers], Drawing]) -> Callable[[Numbers], Drawing]:
    """Draw in print style, add the foot, and settle the layout."""

    @wraps(draw)
    def drawn(numbers: Numbers) -> Drawing:
        with print_style():
            figure = draw(numbers)
            footnote(figure, numbers.note)
            if figure.get_layout_engine() is not None:
                figure.draw_without_rendering()
                figure.set_layout_engine("none")  # laid out once, not again for every file
        return figure

    return drawn
