"""How error falls with size and shape, which shape is best at a given size, and what that says of networks elsewhere.

Laws and blocks are those of `laws`; `off_grid` judges the laws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis import off_grid
from experiments.analysis.figure import Figure, Numbers, architectures, foot, in_print_style, label
from experiments.analysis.laws import (
    BASE,
    FORMS,
    LEAST,
    SHAPED,
    Form,
    Vectors,
    blocks,
    by_form,
    costs,
    cross_validate,
    forms_of,
    share_terms,
)
from experiments.analysis.ratios import RULE_TITLES, RULES
from experiments.analysis.table_data import TableData
from experiments.plots.style import COLOURS, MUTED, PAGE, dots, panels, scaled
from experiments.statistics.intervals import quantile_interval
from experiments.statistics.power_law import EXPONENTS, PowerLaw, fit_power_law
from experiments.tables import as_markdown
from nasbench_ar import NARES, MissingEntryError, SearchSpace
from nasbench_ar.arrays import FloatArray
from nasbench_ar.system.threads import single_threaded

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

BUDGETS = 25
RESAMPLES = 100
NEAR = 0.05  # in log MACs: networks of about the same size
FEWEST = 10
_NO_ASYMPTOTE = "; an exponent is the least allowed: the error falls with log MACs, and no asymptote can be told"
KINDS = {"largest": "largest tenth", "edge": "edge level", "inner": "inner level"}


def cheapest_path(macs: FloatArray, error: FloatArray, budgets: FloatArray) -> NDArray[np.int64]:
    """(budgets,) index of the least (n,) error within each budget (none below all `macs`), the cheaper of equals."""
    order = np.argsort(macs, kind="stable")
    best = np.minimum.accumulate(error[order])
    first = np.searchsorted(-best, -best, side="left")  # where each least error was reached
    return order[first[np.searchsorted(macs[order], budgets, side="right") - 1]]


def favoured(predicted: FloatArray, measured: FloatArray) -> dict[str, float]:
    """How far the twentieth of least predicted error is below the mean of all: as predicted, as measured, its error.

    NaN where the twentieth is fewer than `FEWEST` architectures.
    """
    count = len(predicted) // 20
    if count < FEWEST:
        return dict.fromkeys(("favoured_predicted", "favoured_measured", "favoured_measured_error"), np.nan)
    chosen = np.argsort(predicted, kind="stable")[:count]
    return {
        "favoured_predicted": float(predicted.mean() - predicted[chosen].mean()),
        "favoured_measured": float(measured.mean() - measured[chosen].mean()),
        "favoured_measured_error": float(measured[chosen].std(ddof=1) / np.sqrt(count)),
    }


def rule_path(
    rule: tuple[tuple[float, ...], tuple[float, ...]], space: SearchSpace, budgets: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(budgets,) summed depths and summed widths of a rule's networks of these MACs, not rounded to whole entries."""
    vector = np.column_stack(rule).ravel()
    scale = np.geomspace(1e-2, 1e2, 2000)
    macs = costs(scale[:, None] * vector, space)["macs"]
    at = np.exp(np.interp(np.log(budgets), np.log(macs), np.log(scale)))
    return at * sum(rule[0]), at * sum(rule[1])


def numbers(data: TableData) -> Numbers:
    with single_threaded():  # thousands of small fits, in which threads of BLAS stand in each other's way
        return _numbers(data)


def _numbers(data: TableData) -> Numbers:
    import pandas as pd

    space = data.space
    robust = data.robust_accuracy(LEAST)
    names = [robust, *(name for name in data.shown_accuracies(LEAST) if name.endswith("clean_acc"))][:2]
    tables: dict[str, list[dict[str, Any]]] = {
        "laws": [],
        "cross_validation": [],
        "blocks": [],
        "curve": [],
        "path": [],
    }
    of_robust: dict[str, PowerLaw] = {}
    lines: list[str] = []
    for name in names:
        known = data.known(name)
        vectors, error = data.vectors[known], 100 - data.column(name)[known]
        laws = _laws(forms_of(space), vectors, space, error)
        if name == robust:
            of_robust = laws
        held_out = blocks(vectors, costs(vectors, space)["macs"], data.entries)
        if not held_out:
            raise MissingEntryError(
                f"table {data.oracle.name}: {len(known)} architectures with {name} are too few to hold a block out; "
                f"{LEAST} must remain"
            )
        rows = cross_validate(forms_of(space), vectors, space, error, held_out)
        pooled = _pooled(rows)
        tables["laws"] += [
            {"metric": name, "n": len(known)} | _described(law, form, space) for form, law in by_form(laws)
        ]
        tables["blocks"] += [{"metric": name} | row for row in rows]
        tables["cross_validation"] += [{"metric": name} | row for row in pooled]
        tables["curve"] += [{"metric": name} | row for row in _curve(laws[BASE.name], vectors, space)]
        tables["path"] += [{"metric": name} | row for row in _path(laws, data, known, error)]
        lines += _lines(name, laws, pooled, tables["path"])
    frames = {part: pd.DataFrame(rows) for part, rows in tables.items()}
    shown = data.kept & np.any([~np.isnan(data.column(name)) for name in names], axis=0)
    frames = {"": architectures(data, np.flatnonzero(shown), "macs", *names), **frames}
    if space.stages == len(RULES["robust_resnet"][0]):
        frames["rules"] = pd.DataFrame(_rules(space, np.unique(frames["path"]["budget"])))
    note = foot(data)
    if of_robust and (space.stages, space.unit_channels) == (NARES.stages, NARES.unit_channels):
        networks, judged = off_grid.judge(of_robust, space)
        frames |= {"networks": networks, "judge": judged}
        lines += off_grid.lines(judged)
        note += "; published: twelve networks off the grid, TRADES (Huang et al., CVPR 2023)"
    return Numbers(frames, tuple(lines), note)


def _laws(forms: tuple[Form, ...], vectors: Vectors, space: SearchSpace, error: FloatArray) -> dict[str, PowerLaw]:
    try:
        return {form.name: fit_power_law(*form.inputs(vectors, space), error) for form in forms}
    except ValueError as refusal:
        raise MissingEntryError(f"no law can be fitted: {refusal}") from refusal


def _described(law: PowerLaw, form: Form, space: SearchSpace) -> dict[str, Any]:
    row: dict[str, Any] = {"form": form.name, "asymptote": law.asymptote, "amplitude": law.amplitude}
    row |= {"centre": law.centre, "exponent": law.exponent}
    row["exponent_error"] = float(np.sqrt(law.covariance[2, 2]))
    terms = share_terms(space.stages) if form.name.endswith("shape") else ["distance"] * len(law.shape)
    for position, (term, value) in enumerate(zip(terms, law.shape, strict=True)):
        row |= {f"b_{term}": value, f"b_{term}_error": float(np.sqrt(law.covariance[3 + position, 3 + position]))}
    return row


def _pooled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks of a kind together, every architecture of each counting once."""
    base = {row["block"]: row["rmse"] for row in rows if row["form"] == BASE.name}
    out = []
    for form in dict.fromkeys(row["form"] for row in rows):
        for kind in KINDS:
            chosen = [row for row in rows if (row["form"], row["kind"]) == (form, kind)]
            if not chosen:
                continue
            n = np.array([row["n"] for row in chosen])

            def mean(key: str, chosen: list[dict[str, Any]] = chosen, n: NDArray[Any] = n) -> float:
                return float(np.average([row.get(key, np.nan) for row in chosen], weights=n))

            row = {"form": form, "kind": kind, "blocks": len(chosen)}
            row["rmse"] = float(np.sqrt(np.average([row["rmse"] ** 2 for row in chosen], weights=n)))
            row |= {"coverage": mean("coverage"), "width": mean("width")}
            row["least_coverage"] = min(row.get("coverage", np.nan) for row in chosen)
            row["better_than_macs"] = sum(row["rmse"] < base[row["block"]] for row in chosen)
            out.append(row)
    return out


def _curve(law: PowerLaw, vectors: Vectors, space: SearchSpace) -> list[dict[str, float]]:
    macs = costs(vectors, space)["macs"]
    at = np.geomspace(macs.min(), macs.max(), 60)
    none = np.zeros((len(at), 0))
    ends = law.interval(at, none)
    rows = zip(at.tolist(), law.predict(at, none).tolist(), ends.tolist(), strict=True)
    return [{"macs": size, "error": value, "low": low, "high": high} for size, value, (low, high) in rows]


def _path(
    laws: Mapping[str, PowerLaw], data: TableData, known: NDArray[np.int64], error: FloatArray
) -> list[dict[str, Any]]:
    """The best shape within each budget by the law of MACs and shape; bands over resampled architectures."""
    space, vectors = data.space, data.vectors
    every = SHAPED.inputs(vectors, space)
    budgets = np.geomspace(every[0].min(), every[0].max(), BUDGETS)
    law = laws[SHAPED.name]
    predicted = law.predict(*every)
    best = cheapest_path(every[0], predicted, budgets)
    rng = np.random.default_rng(0)
    size, shape = (inputs[known] for inputs in every)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(known), size=len(known))
        again = fit_power_law(size[rows], shape[rows], error[rows], law)
        drawn.append(vectors[cheapest_path(every[0], again.predict(*every), budgets)])
    bands = np.array(drawn)
    plain = laws[BASE.name].predict(budgets, np.zeros((BUDGETS, 0)))
    out = []
    for k, index in enumerate(best.tolist()):
        row: dict[str, Any] = {"budget": budgets[k], "arch": str(space.from_index(index)), "macs": every[0][index]}
        row |= {"error": predicted[index], "by_macs_alone": plain[k]}
        near = np.abs(np.log(size / budgets[k])) < NEAR
        row |= favoured(predicted[known][near], error[near])
        for sums, start in (("depth", 0), ("width", 1)):
            low, high = quantile_interval(bands[:, k, start::2].sum(axis=1), 0.95)
            row |= {sums: vectors[index, start::2].sum(), f"{sums}_low": low, f"{sums}_high": high}
        out.append(row)
    return out


def _rules(space: SearchSpace, budgets: FloatArray) -> list[dict[str, Any]]:
    out = []
    for rule, shape in RULES.items():
        sums = zip(budgets.tolist(), *(total.tolist() for total in rule_path(shape, space, budgets)), strict=True)
        out += [{"rule": rule, "macs": macs, "depth": depth, "width": width} for macs, depth, width in sums]
    return out


def _lines(
    name: str, laws: Mapping[str, PowerLaw], pooled: list[dict[str, Any]], path: list[dict[str, Any]]
) -> list[str]:
    title = label(name, unit=False)
    base, shaped = laws[BASE.name], laws[SHAPED.name]
    found = {(row["form"], row["kind"]): row for row in pooled}
    lines = [
        f"{title}: error = {base.asymptote:.2f} + {base.amplitude:.2f} (MACs / {base.centre:.3g})^-{base.exponent:.3f} "
        f"by MACs alone; with shape {shaped.asymptote:.2f} + {shaped.amplitude:.2f} (...)^-{shaped.exponent:.3f} g"
        + ("" if min(base.exponent, shaped.exponent) > EXPONENTS[0] * 1.01 else _NO_ASYMPTOTE)
    ]
    for kind, words in KINDS.items():
        told = [
            f"{row['rmse']:.3f} by {form.title} ({100 * row['coverage']:.1f} % inside)"
            for form in (BASE, SHAPED)
            if (row := found.get((form.name, kind)))
        ]
        if told:
            lines.append(f"{title}, {words} held out: root mean square error {'; '.join(told)}")
    of_metric = [row for row in path if row["metric"] == name]
    gain = [row["by_macs_alone"] - row["error"] for row in of_metric]
    middle, last = of_metric[len(of_metric) // 2], of_metric[-2]
    lines.append(
        f"{title}: the best shape is {np.min(gain):.2f} to {np.max(gain):.2f} points below MACs alone; "
        f"[{middle['arch']}] at {middle['budget']:.3g} MACs, [{last['arch']}] at {last['budget']:.3g}"
    )
    known = [row for row in of_metric if not np.isnan(row["favoured_predicted"])]
    if known:
        said, found_below = (np.mean([row[f"favoured_{key}"] for row in known]) for key in ("predicted", "measured"))
        lines.append(
            f"{title}: the twentieth of networks of equal size that the law favours is {said:.2f} points below their "
            f"mean as predicted, {found_below:.2f} as measured (averages over {len(known)} sizes)"
        )
    return lines


def as_texts(numbers: Numbers) -> dict[str, str]:
    """Markdown: laws on held-out blocks, the best shapes, and published networks."""
    out = {"scaling-blocks": _text_of_blocks(numbers), "scaling-shapes": _text_of_path(numbers)}
    return out | ({"scaling-networks": off_grid.as_text(numbers.tables["judge"])} if "judge" in numbers.tables else {})


def _text_of_blocks(numbers: Numbers) -> str:
    found = numbers.tables["cross_validation"]
    titles = {"none": "mean of the rest"} | {form.name: form.title for form in FORMS}
    lines = []
    for (metric, form), of_form in found.groupby(["metric", "form"], sort=False):
        by_kind = of_form.set_index("kind")
        cells = []
        for kind in KINDS:
            if kind not in by_kind.index:
                cells.append("–")
                continue
            row = by_kind.loc[kind]
            inside = "" if np.isnan(row["coverage"]) else f" ({100 * row['coverage']:.1f})"
            cells.append(f"{row['rmse']:.3f}{inside}")
        least = of_form["least_coverage"].min()
        better = f"{of_form['better_than_macs'].sum()} of {of_form['blocks'].sum()}"
        ends = ("–" if np.isnan(least) else f"{100 * least:.1f}", "–" if form == BASE.name else better)
        lines.append((label(str(metric), unit=False), titles[str(form)], *cells, *ends))
    return as_markdown(("Error of", "law of", *KINDS.values(), "least inside (%)", "blocks better than MACs"), lines)


def _text_of_path(numbers: Numbers) -> str:
    lines = []
    for metric, of_metric in numbers.tables["path"].groupby("metric", sort=False):
        for row in of_metric.iloc[4::4].to_dict("records"):
            sums = [f"{row[key]} ({row[f'{key}_low']:.0f} to {row[f'{key}_high']:.0f})" for key in ("depth", "width")]
            said, found, error = (row[f"favoured_{key}"] for key in ("predicted", "measured", "measured_error"))
            gains = ("–", "–") if np.isnan(said) else (f"{said:.2f}", f"{found:.2f} ± {error:.2f}")
            lines.append((label(str(metric), unit=False), f"{row['budget'] / 1e9:.1f}", row["arch"], *sums, *gains))
    header = ("Error of", "MACs (billions)", "best", "ΣD (95 %)", "ΣW (95 %)", "favoured: predicted", "measured")
    return as_markdown(header, lines)


@in_print_style
def draw(numbers: Numbers) -> Drawing:
    curve = numbers.tables["curve"]
    names = list(dict.fromkeys(curve["metric"]))
    figure, axes = panels(2, 3, width=PAGE, height=5)
    for ax, name in zip(axes[0], names, strict=False):
        _draw_law(ax, numbers, name)
    if len(names) == 1:
        axes[0, 1].set_visible(False)
    if "networks" in numbers.tables:
        _draw_judge(axes[0, 2], numbers.tables["networks"])
    else:
        axes[0, 2].set_visible(False)
    for ax, sums, letter in ((axes[1, 0], "depth", "D"), (axes[1, 1], "width", "W")):
        _draw_path(ax, numbers, sums)
        ax.set_ylabel(f"Σ{letter} of the best shape")
    axes[1, 0].set_ylim(0, 1.6 * axes[1, 0].get_ylim()[1])
    axes[1, 0].legend(loc="upper left")
    _draw_validation(axes[1, 2], numbers.tables["cross_validation"], names[0])
    return figure


def _draw_law(ax: Axes, numbers: Numbers, name: str) -> None:
    points, curve = numbers.tables[""], numbers.tables["curve"]
    curve = curve[curve["metric"] == name]
    factor, words = scaled(points["macs"].to_numpy(), "MACs")
    ax.scatter(points["macs"] / factor, 100 - points[name], **dots(len(points)))
    x = curve["macs"] / factor
    ax.fill_between(x, curve["low"], curve["high"], color="black", alpha=0.12, linewidth=0)
    ax.plot(x, curve["error"], color="black")
    ax.set_xlabel(words)
    ax.set_ylabel("error (%)")
    ax.set_title(label(name, unit=False))


def _draw_path(ax: Axes, numbers: Numbers, sums: str) -> None:
    path = numbers.tables["path"]
    factor, words = scaled(path["budget"].to_numpy(), "MACs")
    for k, (name, of_metric) in enumerate(path.groupby("metric", sort=False)):
        x = of_metric["budget"] / factor
        ax.fill_between(x, of_metric[f"{sums}_low"], of_metric[f"{sums}_high"], color=COLOURS[k], alpha=0.25, lw=0)
        ax.plot(x, of_metric[sums], color=COLOURS[k], label=label(str(name), unit=False))
    if "rules" in numbers.tables:
        for style, (rule, of_rule) in zip(
            ("--", ":"), numbers.tables["rules"].groupby("rule", sort=False), strict=True
        ):
            ax.plot(of_rule["macs"] / factor, of_rule[sums], style, color="black", label=RULE_TITLES[str(rule)])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(words)


def _draw_judge(ax: Axes, networks: pd.DataFrame) -> None:
    true = 100 - networks["test_pgd_acc"]
    for form, colour, filled in ((BASE, MUTED, False), (SHAPED, COLOURS[0], True)):
        for marker, (_, group) in zip("osD", networks.groupby("scaled_by", sort=False), strict=True):
            predicted = networks[f"predicted_{form.name}"]
            x, y = (values[group.index] - values.mean() for values in (predicted, true))
            text = form.title if marker == "o" else None
            face = colour if filled else "none"
            ax.scatter(x, y, s=14, marker=marker, edgecolors=colour, facecolors=face, label=text)
    ends = np.array([true.min(), true.max()]) - true.mean()
    ax.plot(ends, ends, color="black", linewidth=0.6)
    ax.set_xlabel("predicted (points)")
    ax.set_ylabel("published error (points)")
    ax.set_title("twelve published networks,\nscaled by ○ D, □ W, ◇ both")
    ax.legend(loc="lower right", handletextpad=0.1)


def _draw_validation(ax: Axes, found: pd.DataFrame, name: str) -> None:
    found = found[(found["metric"] == name) & (found["form"] != "none")]
    titles = {form.name: form.title for form in FORMS}
    forms = list(dict.fromkeys(found["form"]))
    for marker, colour, (kind, words) in zip("osD", COLOURS, KINDS.items(), strict=False):
        rows = found[found["kind"] == kind].set_index("form")
        shown = [form for form in forms if form in rows.index]
        y = [forms.index(form) for form in shown]
        ax.plot(rows.loc[shown, "rmse"], y, marker, color=colour, ms=4, label=words)
    ax.set_yticks(range(len(forms)), [titles[form].replace(", ", ",\n") for form in forms])
    ax.invert_yaxis()
    ax.set_xlabel(f"{label(name, unit=False)}, held-out blocks")
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.25, 1), ncols=3, handlelength=0.8, handletextpad=0.2, columnspacing=0.6
    )


FIGURE = Figure(
    "scaling_law",
    "error by size and shape, the best shape at a size, and networks elsewhere",
    f"an accuracy under attack of {LEAST} architectures",
    numbers,
    draw,
)
