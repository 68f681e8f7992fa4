"""The study of rules, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from experiments.results.recommendation import Choice
from experiments.results.track import Outcome
from experiments.results.track_text import rules_study
from experiments.statistics.intervals import spread
from nasbench_ar import load
from tests.experiments.results.test_track import track


def choice(searcher: str, seeds: list[int], gaps: list[float]) -> Choice:
    observed = np.full(len(seeds), 50.0)
    chosen = observed + gaps
    difference = spread(chosen - observed)
    about = "test_pgd_acc", "Test PGD20", "%", "model"
    return Choice(searcher, *about, np.array(seeds), observed, chosen, difference, 1.0)


def test_a_seed_counts_once_whatever_searchers_have_it() -> None:
    """Seeds 0 and 1: means over both searchers; seeds 2 and 3: one has them; what is not known does not count."""
    found = [choice("a", [0, 1, 2], [1.0, 1.0, 4.0]), choice("b", [0, 1, 3], [3.0, 3.0, math.nan])]
    found += [replace(one, rule="space") for one in found]
    outcome = Outcome(
        track(), load("nares-figures", quiet=True), "val_best_pgd_acc", "test_pgd_acc", True, (), 0, 0, ()
    )
    text = rules_study([(outcome, found)])
    mean, half = 8 / 3, 4.302653 * np.std([2, 2, 4], ddof=1) / math.sqrt(3)
    cell = f"+{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"
    assert [line.count(cell) for line in text.splitlines()] == [0, 0, 1, 1, 1, 1]
