"""Every figure of the analyses, by the name that the command line gives it."""

from __future__ import annotations

from experiments.analysis import (
    anova,
    correlations,
    costs,
    external,
    landscape,
    learning_curves,
    levels,
    pareto,
    ratios,
    scaling_law,
    seed_noise,
)
from experiments.analysis.figure import Figure
from nasbench_ar import ConfigError

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        costs.FIGURE,
        levels.ENTRIES,
        levels.STABLE,
        levels.LIP,
        ratios.FIGURE,
        pareto.FIGURE,
        correlations.FIGURE,
        anova.FIGURE,
        landscape.FIGURE,
        seed_noise.FIGURE,
        learning_curves.FIGURE,
        external.FIGURE,
        scaling_law.FIGURE,
    )
}
"""Every analysis by its name, in the order in which `python -m experiments.analyze` draws them."""


def choose_figures(words: str) -> list[Figure]:
    """The figures of `all` or a comma list of names, in the order of `FIGURES`."""
    names = [name.strip() for name in words.split(",")]
    unknown = [name for name in names if name not in (*FIGURES, "all")]
    if unknown:
        raise ConfigError(f"figures={unknown[0]}: no such figure; there are all, {', '.join(FIGURES)}")
    return [figure for name, figure in FIGURES.items() if name in names or "all" in names]
