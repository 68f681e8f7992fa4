"""What `transfer` found, as text, as a CSV file and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.analysis.transfer import NORMAL_95, Transfer, scales
from experiments.plots.style import COLOURS, MUTED, PAGE, letter, panels
from experiments.tables import as_markdown, csv_text, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_MANY = 300  # architectures, whose intervals would hide each other


def as_text(found: Transfer) -> str:
    source, target = found.source.measured, found.target
    seen, judges = int(found.trained.sum()), int(found.judges.sum())
    title = f"{target.oracle.metric(target.metric).label} of {target.oracle.name}, from "
    title += f"{source.oracle.metric(source.metric).label} of {source.oracle.name}"
    counts = f"{seen} trainings of the target are seen, {judges} judge; the source has {int(source.known.sum()):,}."
    return "\n\n".join([title, counts, tables(found).strip()]) + "\n"


def tables(found: Transfer) -> str:
    """Three tables: what carries over, how well it predicts, and what to deploy."""
    return "\n".join([as_markdown(*_carried(found)), as_markdown(*_ways(found)), as_markdown(*_choices(found))])


def _carried(found: Transfer) -> tuple[list[str], list[list[str]]]:
    posterior, source = found.both.posterior, found.source
    of_part = {name: (scale, error, spread) for name, scale, error, spread in scales(source, posterior)}
    own = found.source.measured.columns
    columns = {"main effects": own.main.shape[1], "pairs": own.pairs.shape[1], "deviations": 1}
    lines = []
    for place, (name, count) in enumerate(columns.items()):
        scale, error, spread = of_part.get(name, (np.nan,) * 3)
        carried = f"{number(scale)} ± {number(error)}" if name in of_part else "–"
        remains = posterior.weights @ posterior.deviations[:, place] * np.sqrt(count)
        lines.append([name, number(spread), carried, number(float(remains))])
    return ["Part", "source's", "times", "target's own"], lines


def _ways(found: Transfer) -> tuple[list[str], list[list[str]]]:
    lines = []
    for way in found.ways:
        cells = [way.quality(found.target, which) for which in (found.trained, found.judges)]
        lines.append(
            [way.name, *(text for error, inside in cells for text in (number(error), number(100 * inside, 1)))]
        )
    return ["Predicted by", "error, folds", "inside 95 % (%)", "error, judges", "inside 95 % (%)"], lines


def _choices(found: Transfer) -> tuple[list[str], list[list[str]]]:
    source, target = found.source.measured, found.target
    lines = []
    for choice in found.choices:
        measured = [data.shown[choice.index] for data in (source, target)]
        name = str(target.oracle.space.from_index(choice.index))
        values = [number(float(value)) for value in (*measured, target.sign * choice.expected)]
        gain = "–" if choice.index == found.choices[0].index else _with_interval(choice.gain)
        lines.append([choice.name, name, *values, gain, _with_interval(choice.regret)])
    header = ["Chosen by", "architecture", "in the source", "in the target", "expected there"]
    return [*header, "better than the source's best", "regret"], lines


def _with_interval(values: tuple[float, float, float]) -> str:
    return f"{number(values[0])} ({number(values[1])} to {number(values[2])})"


def as_csv(found: Transfer) -> str:
    source, target, both = found.source.measured, found.target, found.both
    space, sign = target.oracle.space, target.sign
    half = NORMAL_95 * np.sqrt(both.variance)
    rows = []
    for index in space.member_indices.tolist():
        middle = sign * both.expected[index]
        ends = (float(middle - half[index]), float(middle + half[index]))
        known = [float(data.shown[index]) for data in (source, target)]
        rows.append([str(space.from_index(index)), *known, int(found.trained[index]), float(middle), *ends])
    return csv_text(["arch", "source", "target", "seen", "expected", "ci_low", "ci_high"], rows)


def draw(found: Transfer) -> Drawing:
    """Left: the target against the source; right: the target against what is expected of it unseen."""
    source, target, both = found.source.measured, found.target, found.both
    figure, axes = panels(1, 2, width=PAGE, height=2.9)
    left, right = axes[0]
    measured = f"{target.oracle.metric(target.metric).label}, {target.oracle.name}"
    for which, colour, label in ((found.judges, COLOURS[1], "judges"), (found.trained, COLOURS[0], "seen, by folds")):
        if not which.any():
            continue
        y = target.shown[which]
        style = {"color": colour, "markersize": 2 if len(y) > _MANY else 4, "alpha": 0.7, "rasterized": True}
        left.plot(source.shown[which], y, ".", **style)
        half = 0 if len(y) > _MANY else NORMAL_95 * np.sqrt(both.unseen_variance[which])
        right.errorbar(target.sign * both.unseen[which], y, xerr=half, fmt=".", lw=0.4, label=label, **style)
    left.set(xlabel=f"{source.oracle.metric(source.metric).label}, {source.oracle.name}", ylabel=measured)
    right.set(xlabel="expected before it was seen", ylabel=measured)
    right.axline((float(np.nanmean(target.shown)),) * 2, slope=1, color=MUTED, lw=0.8)
    letter(left, "a  the target beside the source")
    letter(right, "b  the target beside its prediction")
    right.legend()
    return figure
