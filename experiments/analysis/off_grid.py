"""Laws of error on published networks off the grid, beside the rules that their authors and others proposed.

Twelve networks of the same family were trained under TRADES at four target MACs, scaled by depth, by width and by both
(Huang et al., CVPR 2023).  Another loss shifts all errors, so laws are judged by ranks and by what is left when the
best common offset is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.external import published
from experiments.analysis.laws import BASE, Vectors, by_form, costs, from_robust_principle, from_robust_resnet
from experiments.analysis.ratios import RULE_TITLES
from experiments.statistics.intervals import bootstrap_interval, equalised
from experiments.statistics.power_law import PowerLaw
from experiments.tables import as_markdown
from nasbench_ar import NARES, SearchSpace
from nasbench_ar.arrays import FloatArray

if TYPE_CHECKING:
    import pandas as pd

# The README gives this network 185M params and 38.8G MACs, which are those of D3 = 6; D3 = 11 has 280M and 44.8G.
MISPRINTED = {(14, 16, 13, 16, 11, 16): (14, 16, 13, 16, 6, 16)}


def rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Spearman's, of few values, with mean ranks for ties."""
    rounded = equalised(first), equalised(second)
    one, other = (np.sign(values[:, None] - values).sum(axis=1) for values in rounded)  # whole numbers about 0
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def offset_error(predicted: FloatArray, true: FloatArray) -> float:
    """Root mean square of what is left when the best common offset is taken out."""
    return float(np.std(predicted - true))


def judge(laws: Mapping[str, PowerLaw], space: SearchSpace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Published networks off the grid with what each law predicts, and how each law and rule does on them.

    `spearman` is between predicted and published robust error; intervals are bootstrap ones over the networks.
    `pairs` counts the pairs of equal target MACs that are in the right order.
    """
    import pandas as pd

    networks = published()
    networks = networks[networks["scaled_by"] != "uniform"].reset_index(drop=True)
    printed = networks[list(NARES.entry_names)].to_numpy()
    mended = np.array([MISPRINTED.get(tuple(vector), vector) for vector in printed.tolist()])
    networks[list(NARES.entry_names)] = mended
    true = 100 - networks["test_pgd_acc"].to_numpy(float)
    target = (networks["scaled_by"] == "D").cumsum().to_numpy()  # three networks of each
    first, second = np.triu_indices(len(true), 1)
    equal = target[first] == target[second]
    first, second = first[equal], second[equal]
    scores = _scores(laws, mended, space)
    as_printed = _scores(laws, printed, space)
    shown = networks[["scaled_by", *NARES.entry_names, "test_pgd_acc"]].assign(target=target, **costs(mended, space))
    rows = []
    for name, (title, score, ends) in scores.items():
        row: dict[str, Any] = {"predictor": name, "title": title, "n": len(true)}
        row |= _ranked(score, true)
        row["spearman_as_printed"] = rank_correlation(as_printed[name][1], true)
        alike = equalised(score[first] - score[second]) * (true[first] - true[second]) > 0
        row |= {"pairs": int(alike.sum()), "of_pairs": len(alike)}
        if ends is not None:
            row |= _beside(score, ends, true, scores[BASE.name][1])
            shown[f"predicted_{name}"] = score
        rows.append(row)
    return shown, pd.DataFrame(rows)


def _scores(
    laws: Mapping[str, PowerLaw], vectors: Vectors, space: SearchSpace
) -> dict[str, tuple[str, FloatArray, FloatArray | None]]:
    """By predictor: its title, (n,) scores that rise with the error, and intervals where the score is an error."""
    out: dict[str, tuple[str, FloatArray, FloatArray | None]] = {}
    for form, law in by_form(laws):
        inputs = form.inputs(vectors, space)
        out[form.name] = (form.title, law.predict(*inputs), law.interval(*inputs))
    for name, distance in (("robust_resnet", from_robust_resnet), ("robust_principle", from_robust_principle)):
        out[name] = (f"{RULE_TITLES[name]} alone", distance(vectors, space)[:, 0], None)
    return out


def _ranked(score: FloatArray, true: FloatArray) -> dict[str, float]:
    low, high = bootstrap_interval(rank_correlation, score, true, paired=True)
    return {"spearman": rank_correlation(score, true), "spearman_low": low, "spearman_high": high}


def _beside(score: FloatArray, ends: FloatArray, true: FloatArray, base: FloatArray) -> dict[str, float]:
    """Error up to an offset, its interval, and that of its difference from MACs alone."""

    def difference(ours: FloatArray, other: FloatArray, published: FloatArray) -> float:
        return offset_error(ours, published) - offset_error(other, published)

    row = {"offset": float((true - score).mean()), "offset_error": offset_error(score, true)}
    row["offset_error_low"], row["offset_error_high"] = bootstrap_interval(offset_error, score, true, paired=True)
    low, high = bootstrap_interval(difference, score, base, true, paired=True)
    row |= {"less_than_macs_low": low, "less_than_macs_high": high}
    inside = (ends[:, 0] + row["offset"] <= true) & (true <= ends[:, 1] + row["offset"])
    return row | {"inside": int(inside.sum())}


def lines(judged: pd.DataFrame) -> list[str]:
    """A sentence per predictor."""
    return [
        f"{row['n']} published networks, {row['title']}: Spearman {row['spearman']:.2f} ({row['spearman_low']:.2f} to "
        f"{row['spearman_high']:.2f}), {row['pairs']} of {row['of_pairs']} pairs of equal target right"
        + ("" if np.isnan(row["offset_error"]) else f", {row['offset_error']:.2f} points up to an offset")
        for row in judged.to_dict("records")
    ]


def as_text(judged: pd.DataFrame) -> str:
    """Markdown: laws and rules on the published networks."""
    rows = []
    for row in judged.to_dict("records"):
        known = not np.isnan(row["offset_error"])
        error = f"{row['offset_error']:.2f} ({row['offset_error_low']:.2f} to {row['offset_error_high']:.2f})"
        beside = f"{row['less_than_macs_low']:+.2f} to {row['less_than_macs_high']:+.2f}"
        rows.append(
            (
                row["title"],
                f"{row['spearman']:.2f} ({row['spearman_low']:.2f} to {row['spearman_high']:.2f})",
                f"{row['spearman_as_printed']:.2f}",
                f"{row['pairs']} of {row['of_pairs']}",
                error if known else "–",
                beside if known and row["predictor"] != BASE.name else "–",
                f"{row['inside']:.0f}" if known else "–",
            )
        )
    header = ("Predictor", "Spearman (95 %)", "as printed", "pairs right", "error up to an offset (95 %)")
    return as_markdown((*header, "minus that of MACs (95 %)", "inside"), rows)
