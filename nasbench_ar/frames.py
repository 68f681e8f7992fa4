"""Tables as data frames, as CSV and in the format of the authors' release.

from nasbench_ar.frames import to_dataframe, write_csv, write_release

frame = to_dataframe(nasbench_ar.load())     # one row per architecture
write_csv(table, "nares.csv")
write_release(table, "cifar10.jsonl")        # the authors' schema
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from nasbench_ar.errors import ConfigError, TableError
from nasbench_ar.metrics import CURVES, METRICS
from nasbench_ar.release.record import LABELS, TEST_METRICS
from nasbench_ar.space import NARES, SearchSpace
from nasbench_ar.system.files import open_atomically, sweep_partials
from nasbench_ar.table import Table
from nasbench_ar.values import Values, corruption_cells

if TYPE_CHECKING:
    import pandas as pd

Rows = Literal["architecture", "training"]


def to_dataframe(source: Values | Table, *, by: Rows = "architecture") -> pd.DataFrame:
    """All scalars of a table as a pandas frame, in the order of arch_id.

    Args:
        source: an oracle or a table.
        by: `architecture` averages metrics over trainings and sets flags that any training
            has; `training` gives one row per (architecture, seed), with `seed` and labels.

    Returns:
        Columns arch_id, arch, D1, W1, ..., macs, params, then metrics (NaN where
        missing), labels, flags.  Architectures without any entry have no row.

    Raises:
        ConfigError: when `by` is neither.
        TableError: when the table is damaged.
    """
    import pandas as pd  # half a second that other uses need not pay

    if by not in ("architecture", "training"):
        raise ConfigError(f"by={by!r}: expected 'architecture' or 'training'")
    oracle = source if isinstance(source, Values) else Values(source)
    table = oracle.table
    if by == "training":
        rows = _rows_by_arch_id(table)
        return pd.DataFrame(_identity(table.space, table.arch_index[rows]) | _training_columns(table, rows))
    ids = table.space.arch_ids(indices=np.unique(table.arch_index))
    indices = table.space.arch_id_order[np.sort(ids) - 1]
    columns = _identity(table.space, indices)
    columns |= {name: oracle.column(name)[indices] for name in table.scalar_names}
    columns |= {name: oracle.flag(name)[indices] for name in table.flag_names}
    return pd.DataFrame(columns)


def _identity(space: SearchSpace, indices: NDArray[np.int32]) -> dict[str, Any]:
    vectors = space.vectors(indices=indices)
    return {
        "arch_id": space.arch_ids(indices=indices).astype(np.int64),
        "arch": ["-".join(map(str, vector)) for vector in vectors.tolist()],
        **{name: vectors[:, position] for position, name in enumerate(space.entry_names)},
        "macs": space.macs_many(indices=indices),
        "params": space.params_many(indices=indices),
    }


def _training_columns(table: Table, rows: NDArray[np.int64]) -> dict[str, Any]:
    columns: dict[str, Any] = {"seed": table.seeds[rows]}
    columns |= {name: table.scalar(name)[rows] for name in table.scalar_names}
    columns |= {name: table.label(name)[rows].astype(object) for name in table.label_names}
    columns |= {name: table.flag(name)[rows] for name in table.flag_names}
    return columns


def _rows_by_arch_id(table: Table) -> NDArray[np.int64]:
    """(rows,) int64; rows of one architecture stay in the table's order."""
    return np.argsort(table.space.arch_ids(indices=table.arch_index), kind="stable")


def write_csv(source: Values | Table, path: str | os.PathLike[str], *, by: Rows = "architecture") -> None:
    """Write `to_dataframe` as CSV; empty fields are missing values, numbers are exact.

    Raises:
        TableError: when the file cannot be written; an old one is then untouched.
    """
    text = to_dataframe(source, by=by).to_csv(index=False, lineterminator="\n")
    _write(path, iter([text.encode()]))


def write_release(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a table in the authors' format: one JSON line per architecture, by arch_id.

    `gpu_type`, `timestamp` and `training_time` are null if missing, since the authors' loader
    requires them; other missing values are left out.  `test_best` has one object per object of
    `train`, empty without test values.  `release_gaps` tells what a file will lack.

    Raises:
        TableError: when the file cannot be written; an old one is then untouched.
    """
    _write(path, (orjson.dumps(record) + b"\n" for record in _records(table)))


def release_gaps(table: Table) -> tuple[str, ...]:
    """What a file of `write_release` lacks, a sentence each: of the table, and for the authors' loader.

    Their loader needs three stages, and a best epoch and the twelve curves of every training.
    """
    gaps = []
    if lost := [name for name in table.scalar_names if not _restorable(table, name)]:
        gaps.append(f"the authors' format has no field for {', '.join(lost)}: left out")
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


def _write(path: str | os.PathLike[str], parts: Iterator[bytes]) -> None:
    target = Path(path)
    sweep_partials(target.parent, of=target.name)
    try:
        with open_atomically(target) as stream:
            stream.writelines(parts)
    except TableError:
        raise
    except OSError as error:
        raise TableError(f"cannot write {os.fspath(path)}: {error.strerror or error}; nothing was changed") from error


def _restorable(table: Table, name: str) -> bool:
    if name in ("best_epoch", "training_time_gpu_days") or METRICS[name].release_key is not None:
        return True
    if name == "test_corrupt_acc":
        return "acc" in table.corruption_kinds
    return METRICS[name].curve in table.curve_names


def _records(table: Table) -> Iterator[dict[str, Any]]:
    space = table.space
    rows = _rows_by_arch_id(table)
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
