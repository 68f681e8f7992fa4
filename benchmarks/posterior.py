"""Does `experiments.posterior` cover as it claims?  Tables simulated from its model, and real second trainings.

    python -m benchmarks.posterior [--tables 100] > benchmarks/results/posterior.txt

Each setting draws tables of 729 architectures with new effects, deviations and trainings, and asks how often a 95 %
interval, or the 95 % set, holds the truth; and what the table's best really lacks, beside what is expected.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.environment import command_line, describe
from benchmarks.overtuning_blur import ERROR, blurred, calibrated, may_change
from experiments.analysis.measured import Measured, grid_columns
from experiments.analysis.posterior import Known, Line, Setting, settings
from experiments.analysis.table_data import flagged
from experiments.statistics.optimum import optimum, spreads
from experiments.tables import as_markdown
from nasbench_ar import load
from nasbench_ar.arrays import FloatArray

METRIC = "val_pgd_acc"


@dataclass(frozen=True)
class Case:
    """Standard deviations of a simulation.

    Attributes:
        own: of deviations, in points; main effects have 3 points over the grid, pairs 1.
        training: of one training.
        assumed: what the analysis takes for it; 0 measures it by repeats.
        repeats: architectures that are trained twice.
        known: architectures that are trained.
        freedom: of Student's t, for the deviations; 0 for normal ones.
    """

    words: str
    own: float
    training: float
    assumed: float
    repeats: int = 0
    known: int = 729
    freedom: int = 0


CASES = (
    Case("little noise, known", 1, 0.3, 0.3),
    Case("much noise, known", 1, 2, 2),
    Case("much noise, 73 repeats", 1, 2, 0, repeats=73),
    Case("150 of 729 trained, known", 1, 1, 1, known=150),
    Case("150 of 729 trained, 40 repeats", 1, 1, 0, repeats=40, known=150),
    Case("noise taken for half", 1, 1, 0.5),
    Case("noise taken for double", 1, 1, 2),
    Case("deviations of Student's t, 4 degrees", 1, 1, 1, freedom=4),
)


def simulate(case: Case, rng: np.random.Generator) -> tuple[Measured, FloatArray]:
    """What is measured, on the space of `digits-729`, and the truths."""
    oracle = load("digits-729", quiet=True)
    columns = grid_columns(oracle.space)
    size = len(columns.main)
    deviations = rng.standard_t(case.freedom, size) / np.sqrt(2) if case.freedom else rng.normal(size=size)
    truth = 50 + case.own * deviations
    for x, deviation in ((columns.main, 3.0), (columns.pairs, 1.0)):
        truth += x @ rng.normal(scale=deviation / np.sqrt(x.shape[1]), size=x.shape[1])
    trained = rng.permutation(size)[: case.known]
    index = np.concatenate([trained, trained[: case.repeats]])
    single = truth[index] + case.training * rng.normal(size=len(index))
    trainings = np.bincount(index, minlength=size).astype(np.int64)
    values = np.where(trainings > 0, np.bincount(index, single, minlength=size) / np.maximum(trainings, 1), np.nan)
    squares = np.bincount(index, (single - values[index]) ** 2, minlength=size).astype(np.float64)
    return Measured(oracle, METRIC, columns, values, trainings, squares, {}, None), truth


def expected(known: Known) -> tuple[FloatArray, FloatArray]:
    """Means and variances of all truths."""
    moments = []
    for posterior, noise in zip(known.posteriors, known.noises, strict=True):
        mean, variance = posterior.moments(known.data.columns, known.data.values, noise)
        moments.append((mean, variance + mean**2))
    mean, square = np.tensordot(known.weights, moments, axes=1)
    return mean, square - mean**2


def judged(data: Measured, truth: FloatArray, setting: Setting, seed: int) -> list[float]:
    """Per cent of intervals that hold the truth, then size of the set, expected and real regret of the table's best."""
    posterior, known = Known.of(data, setting), data.known
    found = optimum(posterior.conditional, data.columns, np.random.default_rng(seed), draws=300)
    chosen = found.credible_set()
    means, variances = expected(posterior)
    inside = np.abs(truth - means) <= 1.96 * np.sqrt(variances)
    ends = np.quantile(found.spreads, (0.025, 0.975), axis=0)
    real = spreads(data.columns, truth)
    low, high = np.quantile(found.best, (0.025, 0.975))
    best = data.best
    return [
        100 * inside[known].mean(),
        100 * inside[~known].mean() if not known.all() else np.nan,
        *(100.0 * ((ends[0] <= real) & (real <= ends[1]))),
        100.0 * (low <= truth.max() <= high),
        100.0 * (truth.argmax() in chosen),
        float(len(chosen)),
        float(found.regrets[best]),
        float(truth.max() - truth[best]),
    ]


def coverage(case: Case, tables: int) -> list[str]:
    found = []
    for k in range(tables):
        data, truth = simulate(case, np.random.default_rng(k))
        found.append(judged(data, truth, settings(data, case.assumed)[0], k))
    mean = np.mean(found, axis=0)
    cells = ["–" if np.isnan(value) else f"{value:.0f}" for value in mean[:8]]
    return [case.words, *cells, f"{mean[8]:.2f}", f"{mean[9]:.2f}"]


def second_trainings() -> str:
    """Second trainings of `digits-729`, predicted from the first ones."""
    data = Measured.of(load("digits-729", quiet=True), METRIC, {})
    first, second = (data.oracle.column(METRIC, seed=seed) for seed in (0, 1))
    again = ~np.isnan(second)
    noise = data.within()[0]
    once = Known.of(replace(data, values=first), Setting(0.0, "", [noise]))
    means, variances = (moment[again] for moment in expected(once))
    inside = int((np.abs(second[again] - means) <= 1.96 * np.sqrt(variances + noise[again])).sum())
    errors = [float(np.sqrt(np.mean((second[again] - guess) ** 2))) for guess in (means, first[again])]
    return (
        f"digits-729: {inside} of {again.sum()} second trainings are inside 95 % intervals made of first ones. Root "
        f"mean square error of the prediction: {errors[0]:.2f} points; of the first training as it is: {errors[1]:.2f}."
    )


def blur(metric: str, deviation: float, blurs: int) -> str:
    """`nares-figures` with its uncertain values blurred once more."""
    oracle = load("nares-figures", quiet=True)
    data = Measured.of(oracle, metric, flagged(oracle))
    values, where = oracle.column(metric), may_change(oracle, metric)
    sigma = calibrated(values, where, ERROR)
    best = data.best
    lines = []
    for k in range(blurs + 1):
        changed = blurred(values, where, sigma, np.random.default_rng(k)) if k else values
        one = replace(data, values=np.where(data.known, changed, np.nan))
        line = Line.of(one, settings(one, deviation)[0], 0)
        rest = float(line.known.mean(lambda part: part.deviations[:, 2]))
        chance, regret = 100 * line.found.chances[best], line.found.regrets[best]
        name = f"blurred again, {k}" if k else "as it is"
        lines.append([name, f"{rest:.2f}", f"{chance:.1f}", f"{len(line.chosen)}", f"{regret:.2f}"])
    header = ["Values", "Deviations", "Table's best is best (%)", "95 % set", "Its regret"]
    what = f"nares-figures, {metric}, {len(where):,} uncertain values, one training {deviation}"
    return f"{what}\n\n{as_markdown(header, lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--blurs", type=int, default=2)
    arguments = parser.parse_args()
    print(command_line("benchmarks.posterior"))
    print(describe("scipy"), end="\n\n")
    header = ["Simulated", "Measured", "Others", "Main", "Pairs", "Rest", "Best value", "Set", "Size"]
    lines = [coverage(case, arguments.tables) for case in CASES]
    print(as_markdown([*header, "Regret expected", "real"], lines))
    print(second_trainings(), end="\n\n")
    print(blur("val_best_pgd_acc", 0.41, arguments.blurs))


if __name__ == "__main__":
    main()
