"""A table's values as the page holds them: every column packed, every value recoverable.

A column becomes little-endian bytes in base64, in the smallest of these forms:

    u8    0 or 1, for flags
    u16   value = (k + offset) / 10^decimals, 65535 where the table has nothing
    f32   single precision, NaN where the table has nothing; where it keeps all different values different
    f64   double precision, likewise; for anything else

Accuracies are decimals with few digits, so `u16` gives them back exactly: both sides divide a whole number by a power
of ten, which IEEE arithmetic rounds alike.  Only other values (means over seeds, Lipschitz constants) are rounded, to
single precision, and ranks stay exact.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar import Oracle
from nasbench_ar.arrays import FloatArray
from nasbench_ar.cards import description
from nasbench_ar.entry import Entry
from nasbench_ar.space import SearchSpace

MISSING = 65535
MOST_DECIMALS = 4
MOST_GAPS = 4  # room a level on an axis of numbers; with more, points of neighbours would cover each other
OTHERWISE = "†"  # on labels of what this table measures otherwise than the paper; the heading says how
_AGREES = "_agree"  # flags of that ending confirm a value; any other casts doubt on one


@dataclass(frozen=True)
class Column:
    """One thing that the page can put on an axis.

    Attributes:
        kind: `metric`, `cost`, `entry`, `flag` or `id`.
        better: 1 where higher is better, -1 where lower is, 0 where neither.
        doubt: whether the page offers to leave the marked out; only flags that some carry.
        known: number of values.
    """

    name: str
    label: str
    kind: str
    unit: str
    better: int
    about: str
    doubt: bool
    known: int
    packed: dict[str, Any]


def pack(values: NDArray[Any], *, exact: bool = False) -> dict[str, Any]:
    """In the smallest form; with `exact`, nothing is rounded to single precision."""
    if values.dtype == np.bool_:
        return {"form": "u8", "data": _base64(values, "<u1")}
    values = np.asarray(values, dtype=np.float64)
    absent = np.isnan(values)
    known = values[~absent]
    whole = bool((known == np.round(known)).all())
    for decimals in range(MOST_DECIMALS + 1):
        steps = np.round(known * 10.0**decimals)
        offset = steps.min() if len(steps) else 0.0
        if len(steps) and steps.max() - offset >= MISSING:
            break
        if (steps / 10.0**decimals == known).all():
            out = np.full(len(values), MISSING, dtype=np.float64)
            out[~absent] = steps - offset
            return {"form": "u16", "decimals": decimals, "offset": int(offset), "data": _base64(out, "<u2")}
    single = len(np.unique(known.astype(np.float32))) == len(np.unique(known))
    form = "f32" if single and not (whole or exact) else "f64"
    return {"form": form, "data": _base64(values, {"f64": "<f8", "f32": "<f4"}[form])}


def unpack(packed: dict[str, Any]) -> FloatArray:
    """(n,) float64 of what `pack` made, as the page computes it; NaN where missing."""
    raw = base64.b64decode(packed["data"])
    dtype = {"u8": "<u1", "u16": "<u2", "f32": "<f4", "f64": "<f8"}[packed["form"]]
    stored = np.frombuffer(raw, dtype=dtype).astype(np.float64)
    if packed["form"] != "u16":
        return stored
    values = (stored + packed["offset"]) / 10.0 ** packed["decimals"]
    values[stored == MISSING] = np.nan
    return values


def _base64(values: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(values.astype(dtype).tobytes()).decode("ascii")


def present(oracle: Oracle) -> NDArray[np.int32]:
    """(n,) ascending indices of all architectures that the table has an entry of."""
    return np.unique(oracle.table.arch_index).astype(np.int32)


def columns(oracle: Oracle, table_seed: Any = "mean") -> list[Column]:
    """Every column of a table over the architectures of `present`: costs, metrics, entries, flags, number."""
    indices = present(oracle)
    out = []
    for name in oracle.metrics:
        metric = oracle.metric(name)
        kind = "cost" if metric.split == "cost" else "metric"
        better = 0 if metric.maximize is None else 1 if metric.maximize else -1
        values = oracle.column(name, seed=table_seed)[indices]
        differs = oracle.table.meta["differs"].get(name)
        label, about = metric.label, metric.description
        if differs:
            label, about = f"{label} {OTHERWISE}", f"{about}; here: {differs}"
        out.append(_column(name, label, kind, values, metric.unit, better, about))
    digits = oracle.space.digits(indices=indices)
    for position, entry in enumerate(oracle.space.entries):
        about = description(oracle.table, entry.name)
        out.append(_column(entry.name, entry.name, "entry", places(entry)[digits[:, position]], "", 0, about))
    for name in oracle.table.flag_names:
        about = description(oracle.table, name)
        out.append(_column(name, name.replace("_", " "), "flag", oracle.flag(name)[indices], "", 0, about))
    ids = oracle.space.arch_ids(indices=indices)
    wide = isinstance(oracle.space, SearchSpace)
    numbering = "official number: rank by ascending MACs" if wide else "number of the architecture, from 1"
    out.append(_column("arch_id", "arch_id", "id", ids, "", 0, numbering))
    return out


def places(entry: Entry) -> FloatArray:
    """(levels,) where they stand on an axis: ordered whole numbers that are near at their values, others in a row."""
    whole = [level for level in entry.choices if type(level) is int]
    near = entry.ordered and len(whole) == len(entry.choices) and whole[-1] - whole[0] < MOST_GAPS * len(whole)
    return np.array(whole if near else range(len(entry.choices)), dtype=np.float64)


def _column(name: str, label: str, kind: str, values: NDArray[Any], unit: str, better: int, about: str) -> Column:
    known = len(values) - int(np.isnan(np.asarray(values, dtype=np.float64)).sum())
    doubt = kind == "flag" and not name.endswith(_AGREES) and bool(values.any())
    return Column(name, label, kind, unit, better, about, doubt, known, pack(values))


def table_data(oracle: Oracle, table_seed: Any = "mean") -> dict[str, Any]:
    """What the page's scripts need of a table, as plain data for JSON."""
    space = oracle.space
    indices = present(oracle)
    return {
        "name": oracle.name,
        "title": oracle.title,
        "objective": oracle.table.default_objective,
        "entries": [
            {"name": entry.name, "choices": list(map(str, entry.choices)), "places": places(entry).tolist()}
            for entry in space.entries
        ],
        "separator": "," if "," in str(space.from_index(int(indices[0]))) else "-",
        "indices": None if len(indices) == space.product_size else _base64(indices, "<i4"),
        "columns": [asdict(column) for column in columns(oracle, table_seed)],
    }
