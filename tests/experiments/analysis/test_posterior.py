"""What the posterior reads of a table, and which noises it takes, on tables whose noise is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.analysis import posterior
from experiments.analysis.measured import Measured
from experiments.analysis.posterior import Known, Line, Setting, settings
from experiments.analysis.table_data import flagged
from experiments.statistics.optimum import spreads
from nasbench_ar import Entry, Grid, Metric, MetricError, MissingEntryError, Oracle, TableWriter, load
from nasbench_ar.arrays import FloatArray

SPACE = Grid([Entry("a", ("x", "y", "z"), ordered=False), *(Entry(name, (1, 2, 3, 4)) for name in "bcd")])
LOSS = Metric("my_loss", "My loss", "val", "", False, "made up", searchable=True)


def truths(own: float = 1.0) -> FloatArray:
    """Of 192 architectures, with effects and deviations."""
    digits = SPACE.digits(indices=range(SPACE.size))
    return 60 + digits @ [0.3, 0.1, 0.2, -0.1] + own * np.random.default_rng(6).normal(size=SPACE.size)


def table(folder: Path, noise: float, *, trainings: int = 1, own: float = 1.0, rising: float = 0.0) -> Oracle:
    """Trainings of them with known noise, which may be larger in the lower half."""
    rng, truth = np.random.default_rng(7), truths(own)
    index = np.repeat(np.arange(SPACE.size), trainings)
    spread = noise * np.where(truth[index] > np.median(truth), 1.0, 1.0 + rising)
    values = truth[index] + spread * rng.normal(size=len(index))
    with TableWriter(
        folder,
        name="made",
        title="made up",
        provenance="made up",
        space=SPACE,
        default_objective="val_pgd_acc",
        licence="none",
        source={},
        metrics=[LOSS],
    ) as writer:
        seeds = np.tile(np.arange(trainings), SPACE.size)
        writer.add_rows(index, seeds, {"val_pgd_acc": values, "my_loss": 100 - values})
    return load(folder, quiet=True)


def test_repeats_tell_the_noise_and_the_rest(tmp_path: Path) -> None:
    data = Measured.of(table(tmp_path / "t", 0.6, trainings=3), "val_pgd_acc", {})
    [setting] = settings(data)
    variance, freedom = data.within()
    assert freedom == pytest.approx(192 * 2 / 3, abs=4)  # three groups of 64
    assert np.sqrt(variance) == pytest.approx(0.6, rel=0.2)
    assert setting.noises[5] == pytest.approx(variance / 3, rel=0.02)  # the middle one
    found = Line.of(data, setting, 0).found
    low, high = np.quantile(found.spreads, (0.01, 0.99), axis=0)
    real = spreads(data.columns, truths())
    assert (low < real).all()
    assert (real < high).all()


def test_noise_may_shrink_where_a_metric_is_good(tmp_path: Path) -> None:
    data = Measured.of(table(tmp_path / "t", 0.5, trainings=3, own=6.0, rising=3.0), "val_pgd_acc", {})
    variance, _ = data.within()
    assert np.sqrt(variance[np.nanargmax(data.values)]) == pytest.approx(0.5, rel=0.3)
    assert np.sqrt(variance[np.nanargmin(data.values)]) == pytest.approx(2.0, rel=0.3)


def test_without_repeats_the_noise_is_a_share_of_the_rest(tmp_path: Path) -> None:
    data = Measured.of(table(tmp_path / "t", 0.6, own=0.8), "val_pgd_acc", {})
    chosen = settings(data)
    assert [setting.words.partition("%")[0] for setting in chosen] == ["10 ", "25 ", "50 ", "75 ", "100 "]
    assert chosen[-1].deviation == pytest.approx(1.0, rel=0.15)  # noise and deviation together
    assert chosen[1].deviation == pytest.approx(chosen[-1].deviation / 2)
    regrets = [Line.of(data, setting, 0).found.regrets[np.nanargmax(data.values)] for setting in chosen[:4]]
    assert regrets == sorted(regrets)


def test_images_add_binomial_noise(tmp_path: Path) -> None:
    data = Measured.of(table(tmp_path / "t", 0.6), "val_pgd_acc", {})
    [without], [with_images] = settings(data, 0.6), settings(data, 0.6, images=1000)
    added = data.values * (100 - data.values) / 1000
    assert with_images.noises[0] - without.noises[0] == pytest.approx(added, rel=0.03)


def test_less_may_be_better(tmp_path: Path) -> None:
    oracle = table(tmp_path / "t", 0.6)
    loss, accuracy = (Measured.of(oracle, name, {}) for name in ("my_loss", "val_pgd_acc"))
    first, second = (Line.of(data, settings(data, 0.6)[0], 0) for data in (loss, accuracy))
    assert first.found.chances == pytest.approx(second.found.chances, abs=0.005)
    assert "| 0.60 (given) |" in posterior.as_text(loss, [first])
    assert posterior.as_text(loss, [first]).count(f"{loss.shown.min():.2f}") >= 2


def test_what_is_left_out_is_predicted_and_not_measured() -> None:
    oracle = load("nares-figures", quiet=True)
    data = Measured.of(oracle, "val_best_pgd_acc", flagged(oracle))
    assert data.known.sum() == 13_801
    assert not data.known[oracle.flag("objective_imputed")].any()
    text = posterior._conditions(data)
    assert "13,801 of 15,625 architectures count as measured" in text
    assert "objective_imputed (87)" in text
    assert data.images == 2000


def test_noise_beyond_what_scatters_is_refuted(tmp_path: Path) -> None:
    data = Measured.of(table(tmp_path / "t", 0.6, own=0.0), "val_pgd_acc", {})
    known = Known.of(data, Setting(0.6, "", [np.full(192, deviation**2) for deviation in (0.6, 1.2)]))
    assert known.weights[1] < 1e-6
    assert known.mean(lambda part: part.deviations[:, 2]) < 0.3


@pytest.mark.parametrize("metric", ["macs", "best_epoch"])
def test_metrics_without_noise_or_direction_are_refused(metric: str) -> None:
    with pytest.raises(MetricError, match=f"{metric} is not measured, or is no better or worse; give train_loss"):
        Measured.of(load("digits-729", quiet=True), metric, {})


def test_repeats_without_noise_are_refused(tmp_path: Path) -> None:
    data = Measured.of(table(tmp_path / "t", 0.0, trainings=2), "val_pgd_acc", {})
    with pytest.raises(MissingEntryError, match="trainings agree on val_pgd_acc, which has no noise"):
        settings(data)


def test_too_few_values_are_refused(tmp_path: Path) -> None:
    oracle = table(tmp_path / "t", 0.6)
    most = np.arange(192) > 5
    with pytest.raises(MissingEntryError, match="6 values of val_pgd_acc"):
        Measured.of(oracle, "val_pgd_acc", {"mark": most})
