"""Tables in the format of the authors' release, as JSON lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from nasbench_ar.frames import rows_by_arch_id, write_parts
from nasbench_ar.metrics import CURVES, METRICS
from nasbench_ar.release.record import LABELS, TEST_METRICS
from nasbench_ar.space import NARES, SearchSpace, wide_resnets
from nasbench_ar.table import Table
from nasbench_ar.values import corruption_cells


def write_release(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a table in the authors' format: one JSON line per architecture, by arch_id.

    `gpu_type`, `timestamp` and `training_time` are null if missing, since the authors' loader
    requires them; other missing values are left out.  `test_best` has one object per object of
    `train`, empty without test values.  `release_gaps` tells what a file will lack.

    Raises:
        SpaceError: when the table is not of wide residual networks.
        TableError: when the file cannot be written; an old one is then untouched.
    """
    write_parts(path, (orjson.dumps(record) + b"\n" for record in _records(table)))


def release_gaps(table: Table) -> tuple[str, ...]:
    """What a file of `write_release` lacks, a sentence each: of the table, and for the authors' loader.

    Their loader needs three stages, and a best epoch and the twelve curves of every training.
    """
    _networks(table)
    gaps = [*_left_out(table), *_differing(table)]
    nulls = dict.fromkeys((*LABELS, "training_time"), table.rows)
    nulls |= {name: int((table.label(name) == "").sum()) for name in LABELS if name in table.label_names}
    if "training_time_gpu_days" in table.scalar_names:
        nulls["training_time"] = int(np.isnan(table.scalar("training_time_gpu_days")).sum())
    if listed := [f"{name} (of {count} trainings)" for name, count in nulls.items() if count]:
        gaps.append(f"null, since the table has no value: {', '.join(listed)}")
    needed = [*(f"arch.{name}" for name in NARES.entry_names if name not in table.space.entry_names)]
    if "best_epoch" not in table.scalar_names or np.isnan(table.scalar("best_epoch")).any():
        needed.append("best_epoch")
    for name, key in CURVES.items():
        if name not in table.curve_names or np.isnan(table.curve(name)).any():
            needed.append(key)
    if needed:
        gaps.append(f"the authors' loader cannot read the file, which lacks what it needs: {', '.join(needed)}")
    return tuple(gaps)


def _left_out(table: Table) -> list[str]:
    lost = {name: count for name in table.scalar_names if (count := _lost(table, name))}
    nowhere = [name for name in lost if not _restorable(table, name)]
    nowhere += [*(name for name in table.label_names if name not in LABELS), *table.flag_names]
    nowhere += ["the table's notes"] if table.meta["notes"] else []
    partly = [f"{name} (of {count} trainings)" for name, count in lost.items() if _restorable(table, name)]
    return [
        *([f"the authors' format has no field for {', '.join(nowhere)}: left out"] if nowhere else []),
        *([f"left out, since curves or corruptions are not whole: {', '.join(partly)}"] if partly else []),
    ]


def _differing(table: Table) -> list[str]:
    by_words: dict[str, list[str]] = {}
    for name, words in table.meta["differs"].items():
        by_words.setdefault(words, []).append(name)
    listed = "; ".join(f"{', '.join(names)} ({words})" for words, names in by_words.items())
    return [f"the file does not say what differs from the published definitions: {listed}"] if listed else []


def _networks(table: Table) -> SearchSpace:
    return wide_resnets(table.space, f"table {table.name} in the authors' format")


def _restorable(table: Table, name: str) -> bool:
    if name not in METRICS:
        return False
    if name in ("best_epoch", "training_time_gpu_days") or METRICS[name].release_key is not None:
        return True
    if name == "test_corrupt_acc":
        return "acc" in table.corruption_kinds
    return METRICS[name].curve in table.curve_names


def _lost(table: Table, name: str) -> int:
    """How many trainings have a value that a reader of the file cannot compute."""
    known = ~np.isnan(table.scalar(name))
    if not _restorable(table, name):
        return int(known.sum())
    if name == "test_corrupt_acc":
        source = table.corruptions("acc")
    elif (curve := METRICS[name].curve) is not None:
        source = table.curve(curve)
    else:
        return 0
    return int((known & np.isnan(source).reshape(table.rows, -1).any(axis=1)).sum())


def _records(table: Table) -> Iterator[dict[str, Any]]:
    space = _networks(table)
    rows = rows_by_arch_id(table)
    index = table.arch_index[rows]
    vectors = space.vectors(indices=index).tolist()
    macs, params = space.macs_many(indices=index).tolist(), space.params_many(indices=index).tolist()
    ids = space.arch_ids(indices=index).tolist()
    starts = np.flatnonzero(np.diff(index, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        trainings = [int(row) for row in rows[start:end]]
        yield {
            "arch_id": ids[start],
            "arch": dict(zip(space.entry_names, vectors[start], strict=True)),
            "MACs": macs[start] / 1e6,
            "Params": params[start] / 1e6,
            "train": [_train_object(table, row) for row in trainings],
            "test_best": [_test_object(table, row) for row in trainings],
        }


def _train_object(table: Table, row: int) -> dict[str, Any]:
    out: dict[str, Any] = {"seed": int(table.seeds[row])}
    for name in LABELS:
        out[name] = (str(table.label(name)[row]) or None) if name in table.label_names else None
    out["training_time"] = None
    out |= _scalars(table, row, {"training_time": "training_time_gpu_days", "best_epoch": "best_epoch"})
    if "best_epoch" in out:
        out["best_epoch"] = int(out["best_epoch"])
    for name, key in CURVES.items():
        if name in table.curve_names and not np.isnan(curve := table.curve(name)[row]).any():
            out[key] = curve.tolist()
    return out


def _test_object(table: Table, row: int) -> dict[str, Any]:
    out: dict[str, Any] = _scalars(table, row, TEST_METRICS)
    if cells := corruption_cells(table, row):
        out["corruptions"] = cells
    return out


def _scalars(table: Table, row: int, fields: dict[str, str]) -> dict[str, float]:
    values = {key: float(table.scalar(name)[row]) for key, name in fields.items() if name in table.scalar_names}
    return {key: value for key, value in values.items() if value == value}
