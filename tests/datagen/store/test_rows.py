"""Rows of entries by hand, and what is said about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datagen.store.rows import Facts, Row, row_of_entry
from nasbench_ar.metrics import CURVES, METRICS
from tests.datagen.synthetic_entries import SPACE, make_entry

ARCHS = list(SPACE)


def test_a_row_by_hand() -> None:
    entry = make_entry(ARCHS[3], corruptions=True, test_aa_standard_acc=12.0)
    curves = {**entry.curves, "val_pgd_acc": [10.0, 30.0, 20.0], "val_cw_acc": [5.0, 9.0, 8.0]}
    entry = replace(entry, curves=curves, best_epoch=1)
    row = row_of_entry(entry, "ab" * 32, version=2)
    assert row.scalars["best_epoch"] == 1.0
    assert (row.scalars["val_pgd_acc"], row.scalars["val_best_pgd_acc"]) == (30.0, 30.0)
    late = row_of_entry(replace(entry, best_epoch=2), "ab" * 32, version=2)
    assert (late.scalars["val_pgd_acc"], late.scalars["val_best_pgd_acc"]) == (20.0, 30.0)
    assert (late.scalars["val_best_cw_acc"], late.scalars["val_cw_acc"]) == (9.0, 8.0)
    assert row.scalars["training_time_gpu_days"] == 4320 / 86_400
    assert row.scalars["test_pgd_acc"] == entry.test["test_pgd_acc"]
    assert set(row.scalars) <= set(METRICS)
    assert {name: list(curve) for name, curve in row.curves.items()} == {name: curves[name] for name in CURVES}
    assert row.flags == {f"sanity_{name}": failed for name, failed in entry.sanity.items()}
    assert row.labels == {"gpu_type": "NVIDIA Toy", "timestamp": "2024-05-06", "entry_sha256": "ab" * 32}
    assert all((np.unpackbits(row.bits[name], count=40) == mask).all() for name, mask in entry.masks.items())


def test_mean_margins_of_the_first_protocol_become_the_authors_measure() -> None:
    entry = make_entry(ARCHS[3])
    entry = replace(entry, curves={**entry.curves, "val_cw_loss": [0.0625, 0.25, 0.5]}, best_epoch=1)
    row = row_of_entry(entry, "a", version=1)
    assert row.curves["val_cw_loss"].tolist() == [-6.25, -25.0, -50.0]
    assert row.scalars["val_cw_loss"] == -25.0
    assert entry.curves["val_cw_loss"][0] == 0.0625, "the entry stays as it is"
    (said,) = [note for note in Facts(known=1, size=1, version=1).notes() if "protocol" in note]
    assert said.endswith("val_cw_loss is the mean margin, times -100.")


def test_a_processor_has_no_gpu_days_and_long_names_are_cut() -> None:
    entry = make_entry(ARCHS[0], device="cpu")
    hardware = {"device": "cpu", "name": "CPU " + "x" * 300}
    row = row_of_entry(replace(entry, provenance={**entry.provenance, "hardware": hardware}), "a", version=2)
    assert "training_time_gpu_days" not in row.scalars
    assert row.labels["gpu_type"] == "CPU " + "x" * 196


def test_nothing_is_said_of_a_complete_table_that_lacks_nothing() -> None:
    whole = Row({"training_time_gpu_days": 1.0}, {}, np.zeros((19, 5)), np.zeros((19, 5)), {"sanity_a": False}, {}, {})
    facts = Facts(known=1, size=1, version=2)
    facts.count(whole)
    assert facts.notes() == []
    partial = Facts(known=1, size=2, version=2)
    partial.count(replace(whole, corruption_acc=None, flags={"a": True, "b": False}))
    assert [note.split(":")[0].split(",")[0] for note in partial.notes()] == [
        "Partial",
        "There are no corrupted images",
        "1 of 1 entries failed a sanity check (flags sanity_*).",
    ]
