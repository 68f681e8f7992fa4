"""A table's order of uniform networks beside the order that others published under other losses and on other images."""

from __future__ import annotations

from importlib import resources
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.figure import Figure, Numbers, architectures, foot, in_print_style, label
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, PAGE, panels
from experiments.tables import as_markdown
from nasbench_ar import NARES, MissingEntryError
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

SOURCE = "README of github.com/zhichao-lu/robust-residual-network (Huang et al., CVPR 2023)"
METRICS_BESIDE = {  # ours: theirs
    "test_clean_acc": "test_clean_acc",
    "test_pgd_acc": "test_pgd_acc",
    "test_cw_acc": "test_cw_acc",
    "test_aa_acc": "test_aa_full_acc",
}
_LEAST = 3
_MOST = 8  # networks whose orders are all counted: 40,320


def published() -> pd.DataFrame:
    """The family's networks (accuracies in percent): 16 lines of the four uniform ones, 12 of networks off the grid."""
    import pandas as pd

    with resources.files("experiments.analysis").joinpath("sister_networks.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def agreement(first: FloatArray, second: FloatArray) -> tuple[int, int, int, float]:
    """Pairs in the same order, in opposite order, tied in either; and P(as many or more in the same order) by chance.

    Chance takes all orders of `second` as equally likely and counts them, for up to 8 values without NaN.
    """
    if len(first) != len(second) or len(first) > _MOST:
        raise ValueError(f"got {len(first)} and {len(second)} values; give two of equal length, at most {_MOST}")
    pairs = list(combinations(range(len(first)), 2))

    def signs(order: tuple[int, ...]) -> list[float]:
        return [np.sign((first[i] - first[j]) * (second[order[i]] - second[order[j]])) for i, j in pairs]

    observed = signs(tuple(range(len(first))))
    same = observed.count(1)
    chance = [signs(order).count(1) >= same for order in permutations(range(len(first)))]
    return same, observed.count(-1), observed.count(0), float(np.mean(chance))


def numbers(data: TableData) -> Numbers:
    import pandas as pd

    theirs = published()
    names = [name for name in METRICS_BESIDE if data.has(name)]
    same_family = data.space.stages == NARES.stages and data.space.unit_channels == NARES.unit_channels
    entries = [tuple(vector) for vector in theirs[list(NARES.entry_names)].to_numpy().tolist()]
    within = [same_family and entry in data.space for entry in entries]
    theirs = theirs[within]
    indices = [data.space.index(entry) for entry, here in zip(entries, within, strict=True) if here]
    lacking = f"table {data.oracle.name} has test accuracies of fewer than {_LEAST} of the published networks"
    if not names or len(set(indices)) < _LEAST:
        raise MissingEntryError(lacking)
    distinct = np.array(sorted(set(indices)))
    points = architectures(data, distinct, "macs", *names)
    points["left_out"] = ~data.kept[distinct]
    rows: list[dict[str, Any]] = []
    lines = []
    for (dataset, loss), group in theirs.assign(index=indices).groupby(["dataset", "loss"], sort=False):
        for name in names:
            ours, other = data.column(name)[group["index"]], group[METRICS_BESIDE[name]].to_numpy(float)
            macs = data.column("macs")[group["index"]]
            known = ~np.isnan(ours) & ~np.isnan(other)
            if known.sum() < _LEAST:
                continue
            same, opposite, tied, chance = agreement(ours[known], other[known])
            by_macs = agreement(macs[known], other[known])[0]
            row = {"dataset": dataset, "loss": loss, "metric": name, "published": METRICS_BESIDE[name]}
            row |= {"n": int(known.sum()), "same": same, "opposite": opposite, "tied": tied, "chance": chance}
            rows.append(row | {"macs_same": by_macs})
            lines.append(
                f"{label(name, unit=False)}, {loss} on {dataset}: {same} of {same + opposite + tied} pairs of "
                f"{int(known.sum())} networks in our order (by chance as many or more: {chance:.2f}); "
                f"{by_macs} in the order of MACs"
            )
    if not rows:
        raise MissingEntryError(lacking)
    shown = theirs.assign(index=indices).merge(
        points.assign(index=distinct)[["index", "macs", *names]], on="index", suffixes=("", "_table")
    )
    note = f"{foot(data)}; published: {SOURCE}, whose AutoAttack is the full one, the table's AA-Compact"
    return Numbers({"": shown, "agreement": pd.DataFrame(rows), "networks": points}, tuple(lines), note)


def as_text(numbers: Numbers) -> str:
    """Markdown: agreement by loss, images and metric."""
    lines = [
        (
            f"{row['loss']}, {row['dataset']}",
            label(row["metric"], unit=False),
            str(row["n"]),
            *(str(row[key]) for key in ("same", "opposite", "tied")),
            f"{row['chance']:.2f}",
            str(row["macs_same"]),
        )
        for row in numbers.tables["agreement"].to_dict("records")
    ]
    header = ("Published", "Accuracy", "networks", "pairs alike", "opposite", "tied", "P by chance", "alike with MACs")
    return as_markdown(header, lines)


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    shown, found = numbers.tables[""], numbers.tables["agreement"]
    names = list(dict.fromkeys(found["metric"]))
    figure, axes = panels(1, len(names), width=PAGE, height=2.9)
    marks: dict[str, Any] = {}
    for ax, name in zip(axes[0], names, strict=True):
        ours, theirs = (f"{name}_table" if f"{name}_table" in shown else name), METRICS_BESIDE[name]
        for k, ((dataset, loss), group) in enumerate(shown.groupby(["dataset", "loss"], sort=False)):
            known = group.dropna(subset=[ours, theirs]).sort_values("macs")
            if len(known) >= _LEAST:
                text = f"{loss}, {dataset}"
                marks[text] = ax.plot(
                    known[ours], known[theirs] - known[theirs].mean(), "osD^"[k % 4], ms=4, color=COLOURS[k], alpha=0.8
                )[0]
        ax.set_title(label(name))
        ax.set_xlabel("table (%)")
    axes[0, 0].set_ylabel("published, from its mean (points)")
    figure.legend(marks.values(), marks.keys(), loc="outside upper center", ncols=4)
    return figure


FIGURE = Figure(
    "external",
    "order of uniform networks beside published ones under other losses",
    "test accuracies of three of the published networks",
    numbers,
    draw,
)
