"""Everything a table holds on one training, as plain dicts; `Oracle.record` is the way to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_ar.metrics import CORRUPTIONS, SEVERITIES
from nasbench_ar.table import Table


def training_record(table: Table, row: int) -> dict[str, Any]:
    """One row of a table, without what the table lacks.

    Returns:
        `seed`, every scalar, label and flag by name, `curves` (name -> (epochs,)
        float64) and `corruptions` (name -> severity -> kind -> float).
    """
    out: dict[str, Any] = {"seed": int(table.seeds[row])}
    scalars = {name: float(table.scalar(name)[row]) for name in table.scalar_names}
    out |= {name: value for name, value in scalars.items() if value == value}
    labels = {name: str(table.label(name)[row]) for name in table.label_names}
    out |= {name: text for name, text in labels.items() if text}
    out |= {name: bool(table.flag(name)[row]) for name in table.flag_names}
    curves = {name: np.array(table.curve(name)[row]) for name in table.curve_names}
    if curves := {name: curve for name, curve in curves.items() if not np.isnan(curve).any()}:
        out["curves"] = curves
    if cells := corruption_cells(table, row):
        out["corruptions"] = cells
    return out


def corruption_cells(table: Table, row: int) -> dict[str, dict[str, dict[str, float]]]:
    """Corruption -> severity `"1"` to `"5"` -> `acc` (percent) and `loss`, as in the authors' file."""
    grids = {kind: table.corruptions(kind)[row].tolist() for kind in table.corruption_kinds}
    out: dict[str, dict[str, dict[str, float]]] = {}
    for c, corruption in enumerate(CORRUPTIONS):
        for s, severity in enumerate(SEVERITIES):
            cell = {kind: grid[c][s] for kind, grid in grids.items() if grid[c][s] == grid[c][s]}
            if cell:
                out.setdefault(corruption, {})[str(severity)] = cell
    return out
