"""Ranks against SciPy, the mended network against what its row says, and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.analysis import laws, off_grid
from experiments.analysis.external import published
from experiments.statistics.power_law import fit_power_law
from nasbench_ar import NARES


def test_rank_correlation_is_that_of_scipy_ties_included() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(2, 12)), rng.integers(4, size=(2, 12)).astype(float)):
        assert off_grid.rank_correlation(*values) == pytest.approx(stats.spearmanr(*values).statistic)


def test_an_offset_is_no_error() -> None:
    true = np.array([1.0, 2.0, 4.0])
    assert off_grid.offset_error(true + 7, true) == pytest.approx(0, abs=1e-12)
    assert off_grid.offset_error(true + np.array([6, 7, 8]), true) == pytest.approx(np.sqrt(2 / 3))


def test_the_misprint_is_one_and_the_mended_network_fits_its_row() -> None:
    networks = {tuple(row) for row in published()[list(NARES.entry_names)].to_numpy().tolist()}
    for printed, mended in off_grid.MISPRINTED.items():
        assert printed in networks
        cost = laws.costs(np.array([printed, mended]), NARES)
        assert cost["macs"] / 38.8e9 == pytest.approx([1.155, 1], abs=2e-3)
        assert cost["params"] / 185e6 == pytest.approx([1.512, 1], abs=3e-3)


def test_laws_are_judged_by_the_twelve() -> None:
    """A law of the published networks themselves, and one that says the opposite."""
    vectors = published()[list(NARES.entry_names)].to_numpy()[:12]
    size, shape = laws.BASE.inputs(NARES.vectors()[::100], NARES)
    falling = fit_power_law(size, shape, 40 + 4 * (size / 1e10) ** -0.5)
    rising = fit_power_law(size, shape, 40 - 4 * (size / 1e10) ** -0.5)
    shown, judged = off_grid.judge({"macs": falling}, NARES)
    assert shown["target"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert shown.loc[9, "D3"] == 6
    assert shown.drop(index=9)[list(NARES.entry_names)].to_numpy().tolist() == np.delete(vectors, 9, axis=0).tolist()
    true = 100 - shown["test_pgd_acc"]
    row = judged.set_index("predictor").loc["macs"]
    assert row["spearman"] == pytest.approx(stats.spearmanr(-shown["macs"], true).statistic)
    assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
    difference = true - 40 - 4 * (shown["macs"] / 1e10) ** -0.5
    assert row["offset"] == pytest.approx(difference.mean(), abs=1e-3)
    assert row["offset_error"] == pytest.approx(difference.std(ddof=0), abs=1e-3)
    alike = 0
    for start in range(0, 12, 3):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            one, other = start + i, start + j
            alike += (shown["macs"][one] > shown["macs"][other]) == (true[one] < true[other])
    assert (row["pairs"], row["of_pairs"]) == (alike, 12)
    opposite = off_grid.judge({"macs": rising}, NARES)[1].set_index("predictor").loc["macs"]
    assert opposite["spearman"] == pytest.approx(-row["spearman"])
    assert opposite["pairs"] == 12 - alike
    assert judged["offset_error"].isna().tolist() == [False, True, True]  # rules alone predict no error
    assert off_grid.as_text(judged).count("–") == 7
    assert len(off_grid.lines(judged)) == 3


def test_networks_inside_their_intervals_are_counted_after_the_offset() -> None:
    size, shape = laws.BASE.inputs(NARES.vectors()[::100], NARES)
    law = fit_power_law(
        size, shape, 40 + 4 * (size / 1e10) ** -0.5 + np.random.default_rng(0).normal(0, 0.3, len(size))
    )
    shown, judged = off_grid.judge({"macs": law}, NARES)
    true = 100 - shown["test_pgd_acc"].to_numpy()
    macs, none = shown["macs"].to_numpy(), np.zeros((12, 0))
    offset = (true - law.predict(macs, none)).mean()
    low, high = law.interval(macs, none).T
    inside = [k for k in range(12) if low[k] + offset <= true[k] <= high[k] + offset]
    assert judged.loc[0, "inside"] == len(inside)
    assert 0 < len(inside) < 12
