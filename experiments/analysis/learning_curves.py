"""Learning curves of many trainings: spread by epoch, and what is lost after the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.figure import Figure, Numbers, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, PAGE, letter, panels
from experiments.results import published
from nasbench_ar import MissingEntryError
from nasbench_ar.arrays import FloatArray
from nasbench_ar.space import NARES

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def spread_by_epoch(curves: FloatArray) -> dict[str, object]:
    """Number, mean, standard deviation and quantiles 10, 50 and 90 % by epoch of (trainings, epochs) curves."""
    low, middle, high = np.quantile(curves, (0.1, 0.5, 0.9), axis=0)
    std = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.full(curves.shape[1], np.nan)
    return {"n": len(curves), "mean": curves.mean(axis=0), "std": std, "q10": low, "q50": middle, "q90": high}


def overfitting(curves: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Each training's peak epoch (the first), and how far the last epoch lies below it."""
    return curves.argmax(axis=1), curves.max(axis=1) - curves[:, -1]


PUBLISHED_EPOCHS = 100
SUMS = ("val_cw_loss",)  # of margins over a batch, beside which means would be flat lines


def numbers(data: TableData) -> Numbers:
    import pandas as pd

    table = data.oracle.table
    if not table.curve_names:
        raise MissingEntryError(f"table {table.name} has no curves over the epochs")
    kept = data.kept[table.arch_index]
    printed = published.CURVES if (data.oracle.space, table.epochs) == (NARES, PUBLISHED_EPOCHS) else {}
    frames, lines = [], []
    for name in table.curve_names:
        values = np.asarray(table.curve(name))[kept]
        values = values[~np.isnan(values).any(axis=1)]
        if not len(values):
            continue
        frame = pd.DataFrame({"metric": name, "epoch": np.arange(table.epochs), **spread_by_epoch(values)})
        if name in printed:
            frame["published"] = frame["epoch"].map(dict(zip(published.CURVE_EPOCHS, printed[name], strict=True)))
        frames.append(frame)
        if data.oracle.metric(name).split == "val" and name.endswith("_acc"):
            peak, loss = overfitting(values)
            mean, trainings = frame["mean"], f"{len(values)} training{'s' if len(values) > 1 else ''}"
            lines.append(
                f"{label(name, unit=False)}: mean peaks at {mean.max():.2f} after epoch {int(mean.argmax())} and ends "
                f"at {mean.iloc[-1]:.2f}; a training peaks after epoch {np.median(peak):.0f} in the median and loses "
                f"{loss.mean():.2f} points from there to the end ({trainings})"
            )
    if not frames:
        raise MissingEntryError(f"table {table.name} has no complete curve")
    tables = {"": pd.concat(frames, ignore_index=True)}
    if "best_epoch" in table.scalar_names:
        epochs = np.asarray(table.scalar("best_epoch"))[kept]
        best, count = np.unique(epochs[~np.isnan(epochs)].astype(int), return_counts=True)
        tables["best_epoch"] = pd.DataFrame({"epoch": best, "trainings": count})
    return Numbers(tables, tuple(lines), foot(data))


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    curves, best = numbers.tables[""], numbers.tables.get("best_epoch")
    names = list(dict.fromkeys(curves["metric"]))
    losses = [name for name in names if name.endswith("_loss")]
    groups = {
        "accuracy (%)": [name for name in names if name.endswith("_acc")],
        "loss": [name for name in losses if name not in SUMS],
        "loss, sum of 100": [name for name in losses if name in SUMS],
    }
    colours = {name: COLOURS[k] for group in (groups["accuracy (%)"], losses) for k, name in enumerate(group)}
    shown = {title: chosen for title, chosen in groups.items() if chosen}
    figure, axes = panels(1, len(shown) + 1, width=PAGE, height=2.7)
    for ax, (title, chosen) in zip(axes[0], shown.items(), strict=False):
        for name in chosen:
            _draw_curve(ax, curves[curves["metric"] == name], colours[name], label(name, unit=False))
        ax.set(xlabel="epoch", ylabel=title)
        ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=1)
    ax = axes[0, -1]
    if best is not None:
        ax.bar(best["epoch"], 100 * best["trainings"] / best["trainings"].sum(), color=COLOURS[0], width=0.9)
    ax.set(xlabel="best epoch", ylabel="% of trainings")
    letter(ax, "best epoch")
    return figure


def _draw_curve(ax: Any, curve: Any, colour: str, text: str) -> None:
    ax.plot(curve["epoch"], curve["mean"], color=colour, label=text)
    ax.fill_between(curve["epoch"], curve["q10"], curve["q90"], color=colour, alpha=0.2, linewidth=0)
    if "published" in curve and curve["published"].notna().any():
        ax.plot(curve["epoch"], curve["published"], "D", color=colour, markersize=3, mfc="white")


FIGURE = Figure("curves", "learning curves and best epochs", "curves over the epochs", numbers, draw)
