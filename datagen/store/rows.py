"""Rows of a table, each from an entry, and what is said about all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datagen.store.entry import Entry
from nasbench_ar import METRICS
from nasbench_ar.arrays import FloatArray
from nasbench_ar.metrics import CURVES, CW_LOSS_IMAGES

SECONDS_A_DAY = 86_400
ENTRY_LABEL = "entry_sha256"  # which entry a row was made from
FLAG_PREFIX = "sanity_"


@dataclass(frozen=True)
class Row:
    """What `TableWriter.add` takes of one training, and packed bit masks by attack."""

    scalars: dict[str, float]
    curves: dict[str, FloatArray]
    corruption_acc: FloatArray | None
    corruption_loss: FloatArray | None
    flags: dict[str, bool]
    labels: dict[str, str]
    bits: dict[str, NDArray[np.uint8]]
    shared_gpu: bool = False


def row_of_entry(entry: Entry, sha256: str, *, version: int) -> Row:
    """The row of an entry; one of protocol version 1 has mean margins for `val_cw_loss`."""
    curves = {name: np.array(entry.curves[name]) for name in CURVES}
    if version == 1:
        curves["val_cw_loss"] *= -CW_LOSS_IMAGES
    at_best = {name: float(curve[entry.best_epoch]) for name, curve in curves.items()}
    maxima = {f"val_best_{a}_acc": max(entry.curves[f"val_{a}_acc"]) for a in ("clean", "pgd", "cw")}
    scalars = {"best_epoch": float(entry.best_epoch), **at_best, **maxima}
    scalars |= {name: value for name, value in entry.test.items() if name in METRICS}
    if on_gpu(entry) and not shared_gpu(entry):
        scalars["training_time_gpu_days"] = entry.provenance["train_seconds"] / SECONDS_A_DAY
    return Row(
        scalars=scalars,
        curves=curves,
        corruption_acc=entry.corruption_acc,
        corruption_loss=entry.corruption_loss,
        flags={FLAG_PREFIX + name: failed for name, failed in entry.sanity.items()},
        labels={
            "gpu_type": entry.provenance["hardware"]["name"][:200],
            "timestamp": entry.provenance["timestamp"],
            ENTRY_LABEL: sha256,
        },
        bits={name: np.packbits(mask) for name, mask in entry.masks.items()},
        shared_gpu=shared_gpu(entry),
    )


def on_gpu(entry: Entry) -> bool:
    """Whether the training's time counts in GPU-days."""
    return str(entry.provenance["hardware"]["device"]).startswith("cuda")


def shared_gpu(entry: Entry) -> bool:
    """Whether other trainings may have been on the card, so that seconds are not those of a GPU alone."""
    return on_gpu(entry) and bool(entry.provenance.get("config", {}).get("share"))


@dataclass
class Facts:
    """What is said about all rows of a table; `known` counts architectures with a row, of `size` in the space.

    Attributes:
        slow: rows trained on a processor.
        shared: rows trained on a GPU that others may have shared.
        cells: rows with corruption cells.
        failed: rows with a failed check.
        left_out: test values that the catalogue has no metric for.
        version: of the protocol.
    """

    known: int
    size: int
    version: int
    rows: int = 0
    slow: int = 0
    shared: int = 0
    cells: int = 0
    failed: int = 0
    left_out: set[str] = field(default_factory=set)

    def count(self, row: Row) -> None:
        self.rows += 1
        self.shared += row.shared_gpu
        self.slow += "training_time_gpu_days" not in row.scalars and not row.shared_gpu
        self.cells += row.corruption_acc is not None
        self.failed += any(row.flags.values())

    def notes(self) -> list[str]:
        """What the table lacks or has no room for, a line each."""
        notes = []
        if self.known < self.size:
            notes.append(f"Partial: {self.known} of the {self.size:,} architectures of the space have been trained.")
        if self.slow:
            notes.append(f"{self.slow} of {self.rows} trainings ran on a processor and have no time in GPU-days.")
        if self.shared:
            notes.append(
                f"{self.shared} of {self.rows} trainings ran with share=true, perhaps beside others on their GPU, and "
                "have no time in GPU-days."
            )
        if self.version == 1:
            notes.append(
                "Made by protocol version 1: attacks of the validation began clipped to [0, 1], and their losses are "
                f"those after the last step; val_cw_loss is the mean margin, times -{CW_LOSS_IMAGES}."
            )
        if not self.cells:
            notes.append("There are no corrupted images, hence no corruption metrics.")
        if self.left_out:
            names = ", ".join(sorted(self.left_out))
            notes.append(f"Left out, the catalogue has no such metric: {names}; they are in the entries.")
        if self.failed:
            notes.append(f"{self.failed} of {self.rows} entries failed a sanity check (flags {FLAG_PREFIX}*).")
        return notes
