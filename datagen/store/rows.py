"""Rows of a table: from an entry, or from an older table that already holds the entry."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datagen.store.entry import Entry
from nasbench_ar import METRICS, Table
from nasbench_ar.arrays import FloatArray
from nasbench_ar.masks import Masks
from nasbench_ar.metrics import CURVES

SECONDS_A_DAY = 86_400
ENTRY_LABEL = "entry_sha256"  # which entry a row was made from
FLAG_PREFIX = "sanity_"


@dataclass(frozen=True)
class Row:
    """What `TableWriter.add` takes of one training, and packed bit masks by attack, if asked for."""

    scalars: dict[str, float]
    curves: dict[str, FloatArray]
    corruption_acc: FloatArray | None
    corruption_loss: FloatArray | None
    flags: dict[str, bool]
    labels: dict[str, str]
    bits: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def row_of_entry(entry: Entry, sha256: str) -> Row:
    at_best = {name: curve[entry.best_epoch] for name, curve in entry.curves.items()}
    maxima = {f"val_best_{a}_acc": max(entry.curves[f"val_{a}_acc"]) for a in ("clean", "pgd", "cw")}
    scalars = {"best_epoch": float(entry.best_epoch), **at_best, **maxima}
    scalars |= {name: value for name, value in entry.test.items() if name in METRICS}
    if on_gpu(entry):
        scalars["training_time_gpu_days"] = entry.provenance["train_seconds"] / SECONDS_A_DAY
    return Row(
        scalars=scalars,
        curves={name: np.array(entry.curves[name]) for name in CURVES},
        corruption_acc=entry.corruption_acc,
        corruption_loss=entry.corruption_loss,
        flags={FLAG_PREFIX + name: failed for name, failed in entry.sanity.items()},
        labels={
            "gpu_type": entry.provenance["hardware"]["name"][:200],
            "timestamp": entry.provenance["timestamp"],
            ENTRY_LABEL: sha256,
        },
        bits={name: np.packbits(mask) for name, mask in entry.masks.items()},
    )


def on_gpu(entry: Entry) -> bool:
    """Whether the training's time counts in GPU-days."""
    return str(entry.provenance["hardware"]["device"]).startswith("cuda")


class OldRows:
    """The rows of a table that `datagen.export` made earlier, verified, by the hash of the entry behind each."""

    def __init__(self, table: Table) -> None:
        table.verify()
        self.table = table
        self.masks: Masks | None = None
        hashes = table.label(ENTRY_LABEL).tolist() if ENTRY_LABEL in table.label_names else []
        self.by_hash: dict[str, int] = {text: row for row, text in enumerate(hashes)}
        self._scalars = {name: np.asarray(table.scalar(name)) for name in table.scalar_names}
        self._curves = {name: table.curve(name) for name in table.curve_names}
        self._cells = {kind: table.corruptions(kind) for kind in table.corruption_kinds}
        self._flags = {name: table.flag(name) for name in table.flag_names}
        self._labels = {name: table.label(name) for name in table.label_names}

    def row(self, number: int) -> Row:
        cells = {kind: _present(grid[number]) for kind, grid in self._cells.items()}
        masks = self.masks
        return Row(
            scalars={name: float(v[number]) for name, v in self._scalars.items() if not np.isnan(v[number])},
            curves={name: np.array(curve[number]) for name, curve in self._curves.items()},
            corruption_acc=cells.get("acc"),
            corruption_loss=cells.get("loss"),
            flags={name: bool(marks[number]) for name, marks in self._flags.items()},
            labels={name: str(texts[number]) for name, texts in self._labels.items()},
            bits={} if masks is None else {name: bits[number] for name, bits in masks.bits.items()},
        )


def _present(grid: FloatArray) -> FloatArray | None:
    return None if np.isnan(grid).all() else np.array(grid)


@dataclass
class Facts:
    """What is said about all rows of a table; `known` counts architectures with a row, of `size` in the space.

    Attributes:
        slow: rows trained on a processor.
        cells: rows with corruption cells.
        failed: rows with a failed check.
        left_out: test values that the catalogue has no metric for.
    """

    known: int
    size: int
    rows: int = 0
    slow: int = 0
    cells: int = 0
    failed: int = 0
    left_out: set[str] = field(default_factory=set)

    def count(self, row: Row) -> None:
        self.rows += 1
        self.slow += "training_time_gpu_days" not in row.scalars
        self.cells += row.corruption_acc is not None
        self.failed += any(row.flags.values())

    def notes(self) -> list[str]:
        """What the table lacks or has no room for, a line each."""
        notes = []
        if self.known < self.size:
            notes.append(f"Partial: {self.known} of the {self.size:,} architectures of the space have been trained.")
        if self.slow:
            notes.append(f"{self.slow} of {self.rows} trainings ran on a processor and have no time in GPU-days.")
        if not self.cells:
            notes.append("There are no corrupted images, hence no corruption metrics.")
        if self.left_out:
            names = ", ".join(sorted(self.left_out))
            notes.append(f"Left out, the catalogue has no such metric: {names}; they are in the entries.")
        if self.failed:
            notes.append(f"{self.failed} of {self.rows} entries failed a sanity check (flags {FLAG_PREFIX}*).")
        return notes


def unknown_metrics(entry: Entry) -> set[str]:
    """Test values that the catalogue has no metric for."""
    return {name for name in entry.test if name not in METRICS}
