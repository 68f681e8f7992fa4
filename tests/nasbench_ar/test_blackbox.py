"""Tables as blackboxes of Syne Tune; run where it is installed."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nasbench_ar
from nasbench_ar import ConfigError, Entry, Grid, MetricError, Oracle, TableWriter
from nasbench_ar.training_cost import NARES_GPU_DAYS
from tests.nasbench_ar.conftest import EPOCHS, TOY

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # Syne Tune's, of pandas


@pytest.fixture
def blackbox() -> Any:
    pytest.importorskip("syne_tune.blackbox_repository.blackbox_tabular")
    return nasbench_ar.syne_tune_blackbox


def test_a_curve_and_its_clock(toy: Oracle, blackbox: Any) -> None:
    found = blackbox("val_pgd_acc", table=toy)
    assert found.fidelity_values.tolist() == [1, 2, 3, 4, 5, 6]
    for index in range(15):
        architecture = TOY.from_index(index)
        configuration = dict(zip(TOY.entry_names, architecture, strict=True))
        values = found(configuration)
        np.testing.assert_array_equal(values[:, 0], toy.curve(architecture, "val_pgd_acc"))
        np.testing.assert_allclose(values[:, 1], toy.gpu_days(architecture) * 86400 / EPOCHS * np.arange(1, 7))
    assert found(configuration, {"epochs": 2})["val_pgd_acc"] == values[1, 0]
    with pytest.raises(ValueError, match="not present"):
        found(dict(zip(TOY.entry_names, TOY.from_index(15), strict=True)))


def test_seeds_and_units(toy: Oracle, blackbox: Any) -> None:
    first = dict(zip(TOY.entry_names, TOY.from_index(0), strict=True))
    values = blackbox("val_pgd_acc", table=toy, seed=3, unit="epochs")(first)
    np.testing.assert_array_equal(
        values, np.stack([toy.curve(TOY.from_index(0), "val_pgd_acc", seed=3), range(1, 7)], 1)
    )
    with pytest.raises(ConfigError, match="unit='days'"):
        blackbox(table=toy, unit="days")
    with pytest.raises(MetricError, match="may not guide a search"):
        blackbox("test_pgd_acc", table=toy)


def test_a_table_without_curves(blackbox: Any) -> None:
    found = blackbox(table="nares-figures")
    oracle = nasbench_ar.load("nares-figures")
    configuration = dict(zip(oracle.space.entry_names, (5, 10, 5, 10, 5, 10), strict=True))
    assert found(configuration, {"trainings": 1})["val_best_pgd_acc"] == oracle.query("WRN-34-10", "val_best_pgd_acc")
    days = found.objectives_evaluations[..., 1].sum() / 86400
    assert days == pytest.approx(NARES_GPU_DAYS), "what the paper says all trainings took"


def test_whole_numbers_beside_floats_are_one_type(blackbox: Any, tmp_path: Path) -> None:
    """Syne Tune refuses a domain of two."""
    space = Grid([Entry("alpha", (0.1, 1)), Entry("depth", (1, 2))])
    words = {"title": "made up", "provenance": "made up", "licence": "none", "source": {}}
    with TableWriter(tmp_path / "t", name="t", space=space, default_objective="val_loss", **words) as writer:
        writer.add_rows(range(4), np.zeros(4, dtype=int), {"val_loss": np.arange(4.0)})
    found = blackbox(table=tmp_path / "t", unit="epochs")
    assert found({"alpha": 1, "depth": 2}, {"trainings": 1})["val_loss"] == 3


def test_syne_tune_that_is_missing(toy: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("syne_tune.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "syne_tune", None)
    with pytest.raises(ConfigError, match=r"^syne_tune_blackbox needs syne_tune, .* 'nasbench-ar\[syne-tune\]'$"):
        nasbench_ar.syne_tune_blackbox(table=toy)
