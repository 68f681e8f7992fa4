"""Tables as data frames and as CSV.

from nasbench_ar.frames import to_dataframe, write_csv

frame = to_dataframe(nasbench_ar.load())     # one row per architecture
write_csv(table, "nares.csv")
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.entry import Entry
from nasbench_ar.errors import ConfigError, TableError
from nasbench_ar.grid import Grid
from nasbench_ar.system.files import open_atomically, sweep_partials
from nasbench_ar.table import Table
from nasbench_ar.values import Values

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
        rows = rows_by_arch_id(table)
        return pd.DataFrame(_identity(table.space, table.arch_index[rows]) | _training_columns(table, rows))
    ids = table.space.arch_ids(indices=np.unique(table.arch_index))
    indices = table.space.arch_id_order[np.sort(ids) - 1]
    columns = _identity(table.space, indices)
    columns |= {name: oracle.column(name)[indices] for name in table.scalar_names}
    columns |= {name: oracle.flag(name)[indices] for name in table.flag_names}
    return pd.DataFrame(columns)


def _identity(space: Grid, indices: NDArray[np.int32]) -> dict[str, Any]:
    digits = space.digits(indices=indices)
    return {
        "arch_id": space.arch_ids(indices=indices).astype(np.int64),
        "arch": [str(space.from_index(index)) for index in indices.tolist()],
        **{entry.name: _levels(entry)[digits[:, position]] for position, entry in enumerate(space.entries)},
        **{name: space.known_cost(name, indices) for name in space.known_costs},
    }


def _levels(entry: Entry) -> NDArray[Any]:
    """An entry's levels as they are: one array of integers and fractions would turn the first into the second."""
    kinds = {type(level) for level in entry.choices}
    return np.array(entry.choices, dtype=None if len(kinds) == 1 and kinds < {int, float} else object)


def _training_columns(table: Table, rows: NDArray[np.int64]) -> dict[str, Any]:
    columns: dict[str, Any] = {"seed": table.seeds[rows]}
    columns |= {name: table.scalar(name)[rows] for name in table.scalar_names}
    columns |= {name: table.label(name)[rows].astype(object) for name in table.label_names}
    columns |= {name: table.flag(name)[rows] for name in table.flag_names}
    return columns


def rows_by_arch_id(table: Table) -> NDArray[np.int64]:
    """(rows,) int64; rows of one architecture stay in the table's order."""
    return np.argsort(table.space.arch_ids(indices=table.arch_index), kind="stable")


def write_csv(source: Values | Table, path: str | os.PathLike[str], *, by: Rows = "architecture") -> None:
    """Write `to_dataframe` as CSV; empty fields are missing values, numbers are exact.

    Raises:
        TableError: when the file cannot be written; an old one is then untouched.
    """
    text = to_dataframe(source, by=by).to_csv(index=False, lineterminator="\n")
    write_parts(path, iter([text.encode()]))


def write_parts(path: str | os.PathLike[str], parts: Iterator[bytes]) -> None:
    target = Path(path)
    sweep_partials(target.parent, of=target.name)
    try:
        with open_atomically(target) as stream:
            stream.writelines(parts)
    except TableError:
        raise
    except OSError as error:
        raise TableError(f"cannot write {os.fspath(path)}: {error.strerror or error}; nothing was changed") from error
