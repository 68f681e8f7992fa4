"""Accuracy and loss on CIFAR-10-C: 19 corruptions at 5 severities (NARes, section 3.3).

Each file holds the whole test set five times, one severity after the other; it is
memory-mapped and read one severity at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasbench_ar.arrays import FloatArray
from nasbench_ar.metrics import CORRUPTIONS, SEVERITIES
from nasbench_ar.system.files import file_sha256


@dataclass(frozen=True)
class CorruptionFiles:
    """A folder of checked corruption files; `images` test images in each severity."""

    folder: Path
    images: int

    def cell(self, corruption: str, severity: int) -> Tensor:
        """(images, channels, side, side) uint8 of one corruption at one severity from 1."""
        rows = np.lib.format.open_memmap(self.folder / f"{corruption}.npy", mode="r")
        start = (severity - 1) * self.images
        cell = np.asarray(rows[start : start + self.images])
        cell = cell[..., None] if cell.ndim == 3 else cell
        return torch.from_numpy(np.array(cell.transpose(0, 3, 1, 2), order="C"))

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {name: file_sha256(self.folder / f"{name}.npy") for name in CORRUPTIONS}

    def describe(self) -> dict[str, Any]:
        """Hashes of all files, for provenance; takes some seconds for CIFAR-10-C."""
        return {"folder": self.folder.name, "sha256": dict(self._hashes)}


def evaluate_corruptions(
    files: CorruptionFiles, measure: Callable[[Tensor], tuple[float, float]]
) -> tuple[FloatArray, FloatArray]:
    """(19, 5) accuracies in percent and (19, 5) losses, by `CORRUPTIONS` and `SEVERITIES`."""
    grid = np.empty((2, len(CORRUPTIONS), len(SEVERITIES)))
    for row, corruption in enumerate(CORRUPTIONS):
        for column, severity in enumerate(SEVERITIES):
            grid[:, row, column] = measure(files.cell(corruption, severity))
    return grid[0], grid[1]
