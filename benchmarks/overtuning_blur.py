"""What the blur of `nares-figures` can do to `experiments.overtuning`: its numbers with test values blurred once more.

    python -m experiments.table2 runs=400 table=nares-figures
    python -m experiments.table2 runs=400 table=digits-729 queries=200 out=results/overtuning
    python -m benchmarks.overtuning_blur [--blurs 100] [--results results]

Where independent recoveries do not agree, values are permuted among networks of similar
size, with a mean error near 0.3 points (docs/tables.md).  Each blur does so again to the
test values of those networks; and to those of all networks of `digits-729`, whose values are
exact, with a mean error that is the same share of the standard deviation.  Marginal
distributions stay as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import command_line, describe
from experiments.results.overtuning import DEFAULT_METRIC, Ledger, ledger
from experiments.results.read import read, reported_after
from experiments.results.standings import course
from experiments.tables import as_markdown
from nasbench_ar import METRICS, Oracle, load
from nasbench_ar.arrays import FloatArray
from searchers import SEARCHERS

ERROR = 0.3  # mean, in points, on `nares-figures`
BLOCK = 40  # networks of similar size that exchange values


def blurred(values: FloatArray, where: NDArray[np.intp], sigma: float, rng: np.random.Generator) -> FloatArray:
    """Values permuted within blocks of `where`, which is in the order of size, by ranks of values + normal noise."""
    out = values.copy()
    offset = int(rng.integers(BLOCK))
    for block in np.split(where, range(offset, len(where), BLOCK)):
        order = np.argsort(values[block] + sigma * rng.normal(size=len(block)))
        out[block[order]] = np.sort(values[block])
    return out


def calibrated(values: FloatArray, where: NDArray[np.intp], error: float) -> float:
    """The sigma that makes a mean error of this size."""
    low, high = 0.0, 20 * error
    for _ in range(30):
        middle = (low + high) / 2
        mean = np.abs(blurred(values, where, middle, np.random.default_rng(0)) - values)[where].mean()
        low, high = (middle, high) if mean < error else (low, middle)
    return middle


def may_change(oracle: Oracle, metric: str) -> NDArray[np.intp]:
    """Networks whose test value is uncertain, smallest first; all where the table has no marks."""
    uncertain, mark = ~np.isnan(oracle.column(metric)), f"{metric}_agree"
    if mark in oracle.table.flag_names:
        uncertain &= ~oracle.flag(mark)
    order = np.argsort(oracle.column("macs"), kind="stable")
    return order[uncertain[order]]


def numbers(one: Ledger) -> list[float]:
    ends = np.nanmean(one.test.regret[:, -1]), one.worse[-1], np.nanmean(one.overtuning[:, -1])
    return [*map(float, ends), one.turn.loss.mean]


def line(name: str, exact: Ledger, many: list[Ledger]) -> list[str]:
    """The numbers of the table as it is, then over the blurs: their mean and middle 90 %."""
    found = np.array([numbers(one) for one in many])
    low, high = np.quantile(found, (0.05, 0.95), axis=0)
    cells = [
        f"{value:.2f} → {mean:.2f} ({least:.2f} to {most:.2f})"
        for value, mean, least, most in zip(numbers(exact), found.mean(axis=0), low, high, strict=True)
    ]
    harm = f"{'yes' if exact.turn.harm else 'no'} → {sum(one.turn.harm for one in many)} of {len(many)}"
    return [name, *cells, harm]


def study(oracle: Oracle, metric: str, folder: Path, blurs: int, error: float) -> str:
    values, where = oracle.column(metric), may_change(oracle, metric)
    sigma = calibrated(values, where, error)
    columns = [values, *(blurred(values, where, sigma, np.random.default_rng(k)) for k in range(1, blurs + 1))]
    lines = []
    for name in SEARCHERS:
        one = read(folder / name, oracle)
        found = reported_after(one.runs, one.race.queries)
        ends = found[:, -1]
        objective = oracle.column(one.race.objective)
        seen = course(name, one.runs.seeds, objective[found], float(np.nanmax(objective)))
        many = [
            ledger(ends, seen, course(name, one.runs.seeds, c[found], float(np.nanmax(c))), maximize=True, unit="%")
            for c in columns
        ]
        uncertain = np.isin(ends, where)
        known = f"{100 * uncertain.mean():.0f} %, {len(np.unique(ends[uncertain]))} networks"
        lines.append([*line(name, many[0], many[1:]), known])
    header = ["Searcher", "Test regret", "Got worse", "Overtuning", "Lost since", "Harm shown", "Ends uncertain"]
    what = f"{METRICS[metric].label}: {len(where):,} values blurred {blurs} times, mean error {error:.2f} points"
    return f"Table {oracle.name}, {what}\n\n{as_markdown(header, lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blurs", type=int, default=100)
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    print(command_line("benchmarks.overtuning_blur"))
    print(describe("scipy"), end="\n\n")
    figures, digits = (load(name, quiet=True) for name in ("nares-figures", "digits-729"))
    share = ERROR / np.nanstd(figures.column(DEFAULT_METRIC))
    same_share = float(share * np.nanstd(digits.column(DEFAULT_METRIC)))
    for oracle, metric, place, error in (
        (figures, DEFAULT_METRIC, "nares-figures", ERROR),
        (figures, "test_clean_acc", "nares-figures", ERROR),
        (digits, DEFAULT_METRIC, "overtuning/digits-729", same_share),
    ):
        print(study(oracle, metric, arguments.results / place, arguments.blurs, error))


if __name__ == "__main__":
    main()
