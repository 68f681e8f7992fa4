"""Writing a table: a folder of plain `.npy` arrays beside a `meta.json`, complete or not at all.

Rows are (architecture, seed) pairs in any order.

    with TableWriter(folder, name="mine", space=space, ...) as writer:
        writer.add(architecture, seed=0, scalars={"val_pgd_acc": 37.1})

Layout (format version 1), for `rows` rows; floats are float64, NaN marks a missing value:

    meta.json                 name, provenance, space, hashes of all arrays
    arch_index.npy            (rows,) int32, lexicographic index
    seed.npy                  (rows,) int64
    scalars/<metric>.npy      (rows,)
    curves/<metric>.npy       (rows, epochs)
    corruptions/acc.npy       (rows, 19, 5), likewise loss.npy
    flags/<name>.npy          (rows,) bool
    labels/<name>.npy         (rows,) fixed-width text
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import ArchitectureLike
from nasbench_ar.arrays import FloatArray
from nasbench_ar.entry import Entry
from nasbench_ar.errors import TableError, first_line, shown
from nasbench_ar.from_frame import grid_of, indices_of, scalars_of, seeds_of
from nasbench_ar.grid import Grid, is_int
from nasbench_ar.metrics import CELLS_LIKE, CORRUPTIONS, CURVES, SEVERITIES, Metric, catalogue, own_data
from nasbench_ar.table_folder import POSSIBLE, TableFolder

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "nasbench-ar-table"
FORMAT_VERSION = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # a folder's name everywhere
NAME_RULE = "use letters, digits, '.', '_' and '-', beginning with a letter or digit"


class TableWriter:
    """Builds one table; use it as a context manager.

    Args:
        folder: where the table will be.
        name: its name in reports and result folders.
        title: one line saying what the numbers are, shown with every result.
        provenance: where they come from, a paragraph.
        space: the (unrestricted) search space.
        default_objective: metric that searches use when none is named.
        metrics: those that the table defines itself, beside the catalogue's.
        licence: the note on terms of use.
        source: facts on what it was made from (file name, sha256, ...).
        differs: metric -> how its definition differs from the published one; kept for those it stores.
        notes: further lines that `info` prints.
        replace: whether to replace an existing table at `folder`; other files in it stay,
            and a folder that is no table is never touched.

    Raises:
        MetricError: when one of `metrics` cannot be used.
        TableError: when the name is not allowed, or the target exists or cannot be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str,
        title: str,
        provenance: str,
        space: Grid,
        default_objective: str,
        licence: str,
        source: Mapping[str, Any],
        metrics: Iterable[Metric] = (),
        differs: Mapping[str, str] | None = None,
        notes: tuple[str, ...] = (),
        replace: bool = False,
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise TableError(f"{name!r} cannot name a table; {NAME_RULE}")
        if isinstance(notes, str):
            raise TableError(f"notes={shown(notes)}: expected several lines, such as a tuple of them")
        words = {"title": title, "provenance": provenance, "licence": licence, "default_objective": default_objective}
        words |= {f"notes[{k}]": note for k, note in enumerate(notes)}
        words |= {f"differs[{shown(key)}]": text for key, text in (differs or {}).items()}
        if wrong := [f"{key}={shown(text)}" for key, text in words.items() if not isinstance(text, str)]:
            raise TableError(f"{wrong[0]}: expected text")
        self.folder = Path(folder)
        self.space = space
        self.catalogue = catalogue(space, own := list(metrics))
        if default_objective not in self.catalogue:
            raise TableError(
                f"unknown default objective {shown(default_objective)}; known: {', '.join(self.catalogue)}"
            )
        self._meta: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": name,
            "title": title,
            "provenance": provenance,
            "licence": licence,
            "default_objective": default_objective,
            "differs": dict(differs or {}),
            "notes": list(notes),
            "source": _as_json(source),
            "space": space.to_dict(),
        } | ({"metrics": [own_data(found) for found in own]} if own else {})
        self._index: list[int] = []
        self._seeds: list[int] = []
        self._known: set[tuple[int, int]] = set()
        self._scalars: dict[str, list[float]] = {}
        self._flags: dict[str, list[bool]] = {}
        self._labels: dict[str, list[str]] = {}
        self._epochs: int | None = None
        self._taken = {"arch_id", "arch", "seed", *space.entry_names, *self.catalogue}  # by columns of other kinds
        self._place = TableFolder(self.folder, replace=replace)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        folder: str | os.PathLike[str],
        *,
        entries: Iterable[Entry | str],
        metrics: Iterable[Metric | str],
        name: str,
        title: str,
        provenance: str,
        licence: str,
        seed: str | None = None,
        default_objective: str | None = None,
        source: Mapping[str, Any] | None = None,
        notes: tuple[str, ...] = (),
        replace: bool = False,
    ) -> Path:
        """Write a table of a data frame, one row per architecture and training.

        Args:
            frame: with a column for every entry and every metric; others are left out.
            folder: where the table will be; `load(folder)` opens it.
            entries: what an architecture is made of.  A name alone takes the levels of its column:
                numbers in ascending order, anything else without order.
            metrics: definitions, or names of the catalogue; NaN is a missing value.
            name: the table's name in reports and result folders.
            title: one line saying what the numbers are.
            provenance: where they come from, a paragraph.
            licence: the note on terms of use.
            seed: column of training seeds, where architectures were trained several times.
            default_objective: the first of `metrics` that may guide a search, unless given.
            source: facts on what it was made from.
            notes: further lines that `info` prints.
            replace: whether to replace an existing table at `folder`.

        Returns:
            The folder.

        Raises:
            SpaceError: when the entries make no space, or a row has a level that its entry lacks.
            MetricError: when a metric cannot be used.
            TableError: when a column is missing, there twice or not of numbers, rows are there
                twice, or the table cannot be written.
        """
        metrics = list(metrics)
        space, scalars = grid_of(frame, entries), scalars_of(frame, metrics)
        own = [metric for metric in metrics if isinstance(metric, Metric)]
        known = catalogue(space, own)
        guides = [name for name in scalars if known[name].searchable]
        if default_objective is None and not guides:
            raise TableError("none of the metrics may guide a search; define one with searchable=True")
        with cls(
            folder,
            name=name,
            title=title,
            provenance=provenance,
            space=space,
            default_objective=default_objective or guides[0],
            licence=licence,
            source=source or {},
            metrics=own,
            notes=notes,
            replace=replace,
        ) as writer:
            writer.add_rows(indices_of(frame, space), seeds_of(frame, seed), scalars)
        return Path(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._place.discard()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def staging(self) -> Path:
        """The folder that becomes the table; a file put here, such as bit masks, is published with it."""
        return self._place.staging

    def annotate(
        self, *, title: str | None = None, notes: tuple[str, ...] = (), source: Mapping[str, Any] | None = None
    ) -> None:
        """Add what is known only at the end: a final title, further notes and facts on the source."""
        if title is not None:
            self._meta["title"] = title
        self._meta["notes"].extend(notes)
        self._meta["source"].update(_as_json(source or {}))

    def add_rows(
        self, indices: NDArray[np.integer[Any]], seeds: NDArray[np.integer[Any]], scalars: Mapping[str, FloatArray]
    ) -> None:
        """Append many rows that have scalars only.

        Args:
            indices: (n,) lexicographic indices of architectures.
            seeds: (n,) seeds of the trainings.
            scalars: metric -> (n,) values, NaN where missing.

        Raises:
            SpaceError: an index outside the space.
            TableError: repeated row, unknown name, impossible value, or a wrong length.
        """
        found = self.space.indices(indices=indices).tolist()
        rows = list(zip(found, np.asarray(seeds).tolist(), strict=True))
        if len(new := set(rows)) < len(rows) or new & self._known:
            index, seed = next(row for row in rows if rows.count(row) > 1 or row in self._known)
            raise TableError(
                f"architecture {self.space.from_index(index)} with seed {seed} is there twice; "
                "rows of several trainings need seeds of their own"
            )
        for name, values in scalars.items():
            self._check_metric(name)
            if len(values) != len(rows):
                raise TableError(f"{name} has {len(values)} values for {len(rows)} rows")
            if (wrong := self.catalogue[name].impossible(values)).any():
                raise TableError(f"{name} is {values[wrong][0]} in a row, which it cannot be; {POSSIBLE}")
        before = len(self._index)
        self._known |= new
        self._index += found
        self._seeds += [seed for _, seed in rows]
        for name, values in scalars.items():
            column = self._scalars.setdefault(name, [])
            column += [float("nan")] * (before - len(column)) + values.tolist()

    def _check_metric(self, name: str) -> None:
        if name not in self.catalogue or name in self.space.known_costs:
            known = ", ".join(name for name in self.catalogue if name not in self.space.known_costs)
            raise TableError(f"{name!r} is not a metric that this table stores; known: {known}")

    def add(
        self,
        architecture: ArchitectureLike,
        *,
        seed: int,
        scalars: Mapping[str, float],
        curves: Mapping[str, NDArray[np.float64]] | None = None,
        corruption_acc: NDArray[np.float64] | None = None,
        corruption_loss: NDArray[np.float64] | None = None,
        flags: Mapping[str, bool] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Append one row; what is not given is missing.

        Args:
            architecture: a member of the space.
            seed: seed of the training; (architecture, seed) must be new.
            scalars: metric -> finite value; names of the catalogue that the space does not know itself.
            curves: names of `CURVES` -> (epochs,) arrays of one common length.
            corruption_acc: (19, 5) percent, in the order of `CORRUPTIONS`.
            corruption_loss: (19, 5).
            flags: marks for analyses, such as "value was imputed".
            labels: short texts, such as the type of GPU.

        Raises:
            SpaceError: architecture outside the space.
            TableError: repeated row, unknown name, wrong shape, or a failed write.
        """
        index = self.space.index(architecture)
        self._check_row(seed, flags or {}, labels or {})
        if (index, seed) in self._known:
            raise TableError(f"architecture {self.space.from_index(index)} with seed {seed} is there twice")
        for name in scalars:
            self._check_metric(name)
            if not _is_number(scalars[name]):
                raise TableError(f"{name}={shown(scalars[name])}: expected a number; leave out what is missing")
            if self.catalogue[name].impossible(np.asarray(scalars[name], dtype=np.float64)):
                raise TableError(
                    f"{name} is {scalars[name]} for {self.space.from_index(index)}, which it cannot be; {POSSIBLE}"
                )
        self._check_curves(curves or {})
        given = {"acc": corruption_acc, "loss": corruption_loss}
        corruptions = {kind: cells for kind, cells in given.items() if cells is not None}
        shape = (len(CORRUPTIONS), len(SEVERITIES))
        for kind, cells in corruptions.items():
            if np.shape(cells) != shape:
                raise TableError(f"corruptions/{kind}.npy got shape {np.shape(cells)}; expected {shape}")
        row = len(self._index)
        self._known.add((index, seed))
        self._index.append(index)
        self._seeds.append(int(seed))
        _append(self._scalars, {k: float(v) for k, v in scalars.items()}, row, float("nan"))
        _append(self._flags, dict(flags or {}), row, False)
        _append(self._labels, dict(labels or {}), row, "")
        for name, curve in (curves or {}).items():
            self._append(f"curves/{name}.npy", name, row, curve)
        for kind, cells in corruptions.items():
            self._append(f"corruptions/{kind}.npy", CELLS_LIKE[kind], row, cells)

    def _check_row(self, seed: Any, flags: Mapping[str, Any], labels: Mapping[str, Any]) -> None:
        if not is_int(seed) or not -(2**63) <= seed < 2**63:
            raise TableError(f"seed={seed!r}: expected a whole number of at most 63 bits")
        for kind, given, types in (("flag", flags, (bool, np.bool_)), ("label", labels, (str,))):
            for name, value in given.items():
                if not isinstance(value, types):
                    raise TableError(
                        f"{kind} {name}={value!r}: expected {'True or False' if kind == 'flag' else 'text'}"
                    )
                if name in self._taken or name in (self._labels if kind == "flag" else self._flags):
                    raise TableError(f"{kind} {shown(name)}: a table has another column of this name")

    def _check_curves(self, curves: Mapping[str, NDArray[np.float64]]) -> None:
        for name, curve in curves.items():
            if name not in CURVES:
                raise TableError(f"unknown curve {name!r}; known: {', '.join(CURVES)}")
            if self._epochs is None:
                self._epochs = len(curve)
            if np.shape(curve) != (self._epochs,):
                raise TableError(f"curve {name} has shape {np.shape(curve)}; expected ({self._epochs},)")

    def _append(self, file: str, metric: str, row: int, values: NDArray[np.float64]) -> None:
        self._place.append(file, self.catalogue[metric], row, np.asarray(values, dtype=np.float64))

    def _finish(self) -> None:
        rows = len(self._index)
        if not rows:
            raise TableError(f"nothing to write at {self.folder}: no entry was added")
        arrays: dict[str, NDArray[Any]] = {
            "arch_index.npy": np.array(self._index, dtype=np.int32),
            "seed.npy": np.array(self._seeds, dtype=np.int64),
        }
        arrays |= _columns_as_arrays("scalars", self._scalars, rows, float("nan"), np.float64)
        arrays |= _columns_as_arrays("flags", self._flags, rows, False, np.bool_)
        arrays |= _columns_as_arrays("labels", self._labels, rows, "", np.str_)
        differs = {name: words for name, words in self._meta["differs"].items() if name in self._scalars}
        self._place.finish({**self._meta, "differs": differs}, rows, arrays)


def _as_json(source: Mapping[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(dict(source))
    except (TypeError, ValueError, RecursionError) as error:
        raise TableError(f"source: {first_line(error)}; give plain texts, numbers, lists and dictionaries") from None
    return dict(source)


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_, str)):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _append(columns: dict[str, list[Any]], values: Mapping[str, Any], row: int, empty: Any) -> None:
    for name, value in values.items():
        column = columns.setdefault(name, [])
        column.extend([empty] * (row - len(column)))
        column.append(value)


def _columns_as_arrays(
    group: str, columns: dict[str, list[Any]], rows: int, empty: Any, dtype: type
) -> dict[str, NDArray[Any]]:
    return {
        f"{group}/{name}.npy": np.array(values + [empty] * (rows - len(values)), dtype=dtype)
        for name, values in columns.items()
    }
