"""Figure 3: distributions of the accuracies by each depth and width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.analysis.table_data import TableData
from experiments.figures.base import Figure, Numbers, foot, label
from experiments.figures.style import PAGE, in_print_style, panels
from experiments.figures.violins import by_level, draw_violins, step_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def numbers(data: TableData) -> Numbers:
    """Distributions by level, and what one step of an entry changes with all else equal."""
    parts = by_level(data, data.shown_accuracies())
    tables = {"": parts["levels"], "density": parts["density"], "steps": parts["steps"]}
    return Numbers(tables, tuple(step_lines(parts["steps"])), foot(data))


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    """One row per accuracy, one column per entry."""
    levels = numbers.tables[""]
    names = list(dict.fromkeys(levels["metric"]))
    entries = len(set(levels["entry"]))
    figure, axes = panels(len(names), entries, width=PAGE, height=0.9 + 1.15 * len(names), sharey="row", sharex="col")
    for row, name in zip(axes, names, strict=True):
        draw_violins(row, levels, numbers.tables["density"], name, names=name == names[-1])
        row[0].set_ylabel(label(name).replace(" (%)", "\n(%)"))
    return figure


FIGURE = Figure("3", "distributions of accuracies by each D and W", "an accuracy of ten architectures", numbers, draw)
