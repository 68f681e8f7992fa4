from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from nasbench_ar import METRICS, MetricError
from nasbench_ar.metrics import CORRUPTIONS, CURVES, SEVERITIES, TABLE2_ROWS, metric, objective

AUTHORS_NAMES = {
    *("macs", "params", "best_epoch", "train_acc", "train_loss", "val_loss"),
    *("val_clean_acc", "val_pgd_acc", "val_cw_acc"),
    *("test_clean_acc", "test_loss", "test_fgsm_acc", "test_fgsm_stable", "test_pgd_acc", "test_pgd_stable"),
    *("test_pgd_lip", "test_cw_acc", "test_cw_stable", "test_cw_lip", "test_aa_acc", "test_corrupt_acc"),
}
RELEASE_KEYS = {
    *("test_clean_acc", "test_loss", "Linf_fgsm_acc", "Linf_fgsm_stable", "Linf_pgd_acc", "Linf_pgd_stable"),
    *("Linf_pgd_lip", "Linf_cw_acc", "Linf_cw_stable", "Linf_cw_lip", "Linf_aa_acc"),
}
CURVE_KEYS = "train_loss train_acc val_loss val_acc pgd pgd_stable pgd_lip pgd_loss cw cw_stable cw_lip cw_loss"


def test_the_catalogue_is_the_written_one() -> None:
    """Users and stored results rely on every word of it: a change must be wanted, and noted in the changelog."""
    head, *lines = (Path(__file__).parent.parent / "data/metrics.txt").read_text().splitlines()
    columns = head.split(" | ")
    assert sorted(columns) == sorted(field.name for field in fields(METRICS["macs"]))
    cells = [{column: getattr(m, column) for column in columns} for m in METRICS.values()]
    shown = [" | ".join(str("-" if value == "" else value) for value in row.values()) for row in cells]
    assert shown == lines
    assert list(METRICS) == [m.name for m in METRICS.values()]


def test_names_are_the_authors() -> None:
    assert set(METRICS) >= AUTHORS_NAMES
    assert {m.release_key for m in METRICS.values() if m.release_key} == RELEASE_KEYS
    assert METRICS["test_pgd_lip"].release_key == "Linf_pgd_lip"


def test_curves_and_cells() -> None:
    assert list(CURVES.values()) == CURVE_KEYS.split()
    assert all(METRICS[name].curve == name for name in CURVES)
    assert len(CORRUPTIONS) == len(set(CORRUPTIONS)) == 19
    assert list(CORRUPTIONS) == sorted(CORRUPTIONS)
    assert SEVERITIES == (1, 2, 3, 4, 5)


def test_every_row_of_table_2_is_filled_and_directions_hold() -> None:
    assert {m.table2 for m in METRICS.values()} - {None} == set(TABLE2_ROWS)
    for name, found in METRICS.items():
        assert found.name == name
        assert found.description
        assert found.maximize is (
            True if name.endswith(("_acc", "_stable")) else None if name == "best_epoch" else False
        )
        if found.searchable:
            assert found.split != "test"
            assert found.maximize is not None


def test_the_catalogue_shows_its_names_by_split() -> None:
    lines = repr(METRICS).splitlines()
    assert lines[0] == f"{len(METRICS)} metrics; METRICS[name] tells more"
    shown = {split.strip(): names.split(", ") for split, names in (line.split(": ") for line in lines[1:])}
    assert shown == {s: [m.name for m in METRICS.values() if m.split == s] for s in ("cost", "val", "train", "test")}


def test_searchable() -> None:
    assert objective("val_pgd_acc").label == "Val PGD20"
    assert objective("val_best_pgd_acc").curve == "val_pgd_acc"
    assert objective("test_pgd_acc", allow_test=True).split == "test"


@pytest.mark.parametrize("name", [m.name for m in METRICS.values() if m.split == "test"])
def test_test_metrics_guide_no_search(name: str) -> None:
    with pytest.raises(MetricError, match=f"{name} is a test metric .* allow_test_objective"):
        objective(name)


@pytest.mark.parametrize("name", ["best_epoch", "training_time_gpu_days"])
def test_metrics_without_meaning_as_objective(name: str) -> None:
    for allow_test in (False, True):
        with pytest.raises(MetricError, match=r"may not guide a search; allowed are .*val_pgd_acc"):
            objective(name, allow_test=allow_test)


@pytest.mark.parametrize(
    ("name", "message"),
    [("val_pgd_ac", "mean val_pgd_acc"), ("zzz", "choose from macs, params"), (["val_pgd_acc"], "unknown metric")],
)
def test_unknown_names(name: Any, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(name)
