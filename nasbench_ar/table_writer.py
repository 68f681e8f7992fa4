"""Writing a table: a folder of plain `.npy` arrays beside a `meta.json`, complete or not at all.

Rows are (architecture, seed) pairs in any order.  Everything goes into a hidden
folder beside the target, is flushed to the disk and then renamed, so that a reader
never sees half a table and a failure leaves nothing behind.  The next process removes,
or restores (`restore`), what a killed one left.

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
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.architecture import ArchitectureLike
from nasbench_ar.arrays import FloatArray
from nasbench_ar.entry import Entry
from nasbench_ar.errors import TableError
from nasbench_ar.from_frame import grid_of, indices_of, scalars_of, seeds_of
from nasbench_ar.grid import Grid
from nasbench_ar.metrics import CELLS_LIKE, CORRUPTIONS, CURVES, SEVERITIES, Metric, catalogue, own_data
from nasbench_ar.system.files import (
    file_sha256,
    fsync_folder,
    leftovers,
    partial_path,
    remove,
    sweep_partials,
    write_atomically,
)

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "nasbench-ar-table"
FORMAT_VERSION = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # a folder's name everywhere
NAME_RULE = "use letters, digits, '.', '_' and '-', beginning with a letter or digit"
MASKS_FILE = "masks.npz"  # beside the arrays, of the same rows; see `masks`
_CHUNK_ROWS = 256
_ASIDE = ".replaced"  # suffix of an old table's folder while a new one takes its place
_POSSIBLE = "a table holds finite values, and percentages from 0 to 100"


class _RowFile:
    """A `.npy` file of a metric's values that grows by rows; closing settles its header."""

    def __init__(self, path: Path, metric: Metric, row_shape: tuple[int, ...]) -> None:
        path.parent.mkdir(exist_ok=True)
        self.metric = metric
        self.row_shape = row_shape
        self.rows = 0
        self._pending: list[NDArray[np.float64]] = []
        self._file: BinaryIO = path.open("wb")
        self._header_size = self._write_header()

    def _write_header(self) -> int:
        # NumPy pads its headers so that the first axis can grow in place.
        header = {"descr": "<f8", "fortran_order": False, "shape": (self.rows, *self.row_shape)}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header)
        return self._file.tell()

    def append(self, row: NDArray[np.float64]) -> None:
        self._pending.append(row)
        self.rows += 1
        if len(self._pending) >= _CHUNK_ROWS:
            self.flush()

    def pad_to(self, rows: int) -> None:
        for _ in range(rows - self.rows):
            self.append(np.full(self.row_shape, np.nan))

    def flush(self) -> None:
        if self._pending:
            values = np.stack(self._pending).astype("<f8")
            if (wrong := self.metric.impossible(values)).any():
                raise TableError(f"a row has {values[wrong][0]}, which {self.metric.name} cannot be; {_POSSIBLE}")
            self._file.write(values.tobytes())
            self._pending = []

    def close(self) -> None:
        self.flush()
        if self._write_header() != self._header_size:
            raise AssertionError("NumPy changed the size of a header in place")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        with suppress(OSError):  # closing flushes, which fails on a full disk
            self._file.close()


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
        differs: metric -> how its definition differs from the published one.
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
        if not NAME.fullmatch(name):
            raise TableError(f"{name!r} cannot name a table; {NAME_RULE}")
        self.folder = Path(folder)
        self.space = space
        self.catalogue = catalogue(space, own := list(metrics))
        self._replace = replace
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
            "source": dict(source),
            "space": space.to_dict(),
        } | ({"metrics": [own_data(found) for found in own]} if own else {})
        self._index: list[int] = []
        self._seeds: list[int] = []
        self._known: set[tuple[int, int]] = set()
        self._scalars: dict[str, list[float]] = {}
        self._flags: dict[str, list[bool]] = {}
        self._labels: dict[str, list[str]] = {}
        self._row_files: dict[str, _RowFile] = {}
        self._epochs: int | None = None
        try:
            restore(self.folder.parent, of=self.folder.name)
            self._check_place()
            sweep_partials(self.folder.parent, of=self.folder.name)
            self._staging = partial_path(self.folder)
            self._staging.mkdir(parents=True)
        except TableError:
            raise
        except OSError as error:
            raise TableError(
                f"cannot write a table at {self.folder}: {error.strerror or error}; choose a place where you may write"
            ) from error

    def _check_place(self) -> None:
        if not self.folder.exists():
            return
        if not self._replace:
            raise TableError(
                f"{self.folder} exists already; choose another name or folder, or replace it "
                "explicitly (replace=True, --replace)"
            )
        if not (self.folder / "meta.json").is_file():
            raise TableError(
                f"{self.folder} holds something else than a table and is not replaced; choose "
                "another folder, or remove it yourself"
            )

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        folder: str | os.PathLike[str],
        *,
        entries: Iterable[Entry | str],
        metrics: Sequence[Metric | str],
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
            TableError: when a column is missing or not of numbers, rows are there twice, or the
                table cannot be written.
        """
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
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            for row_file in self._row_files.values():
                row_file.discard()
            shutil.rmtree(self._staging, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._index)

    def annotate(
        self, *, title: str | None = None, notes: tuple[str, ...] = (), source: Mapping[str, Any] | None = None
    ) -> None:
        """Add what is known only at the end: a final title, further notes and facts on the source."""
        if title is not None:
            self._meta["title"] = title
        self._meta["notes"].extend(notes)
        self._meta["source"].update(source or {})

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
                raise TableError(f"{name} is {values[wrong][0]} in a row, which it cannot be; {_POSSIBLE}")
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
        if (index, seed) in self._known:
            raise TableError(f"architecture {self.space.from_index(index)} with seed {seed} is there twice")
        for name in scalars:
            self._check_metric(name)
            if self.catalogue[name].impossible(np.asarray(scalars[name], dtype=np.float64)):
                raise TableError(
                    f"{name} is {scalars[name]} for {self.space.from_index(index)}, which it cannot be; {_POSSIBLE}"
                )
        self._check_curves(curves or {})
        row = len(self._index)
        self._known.add((index, seed))
        self._index.append(index)
        self._seeds.append(seed)
        _append(self._scalars, {k: float(v) for k, v in scalars.items()}, row, float("nan"))
        _append(self._flags, dict(flags or {}), row, False)
        _append(self._labels, dict(labels or {}), row, "")
        try:
            for name, curve in (curves or {}).items():
                self._append_row(f"curves/{name}.npy", name, row, np.asarray(curve, dtype=np.float64))
            for kind, cells in (("acc", corruption_acc), ("loss", corruption_loss)):
                if cells is not None:
                    self._append_row(
                        f"corruptions/{kind}.npy", CELLS_LIKE[kind], row, np.asarray(cells, dtype=np.float64)
                    )
        except OSError as failure:
            raise self._failed(failure) from failure

    def _check_curves(self, curves: Mapping[str, NDArray[np.float64]]) -> None:
        for name, curve in curves.items():
            if name not in CURVES:
                raise TableError(f"unknown curve {name!r}; known: {', '.join(CURVES)}")
            if self._epochs is None:
                self._epochs = len(curve)
            if np.shape(curve) != (self._epochs,):
                raise TableError(f"curve {name} has shape {np.shape(curve)}; expected ({self._epochs},)")

    def _append_row(self, file: str, metric: str, row: int, values: NDArray[np.float64]) -> None:
        if file.startswith("corruptions/") and values.shape != (len(CORRUPTIONS), len(SEVERITIES)):
            raise TableError(f"{file} got shape {values.shape}; expected {(len(CORRUPTIONS), len(SEVERITIES))}")
        if file not in self._row_files:
            self._row_files[file] = _RowFile(self._staging / file, self.catalogue[metric], values.shape)
        self._row_files[file].pad_to(row)
        self._row_files[file].append(values)

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
        for file, array in arrays.items():
            path = self._staging / file
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
                stream.flush()
                os.fsync(stream.fileno())
        for row_file in self._row_files.values():
            row_file.pad_to(rows)
            row_file.close()
        self._meta["rows"] = rows
        self._meta["files"] = {
            file: {"sha256": file_sha256(self._staging / file)} for file in sorted([*arrays, *self._row_files])
        }
        write_atomically(self._staging / "meta.json", json.dumps(self._meta, indent=1).encode() + b"\n")
        self._publish()

    def _publish(self) -> None:
        aside = None
        if self._replace and self.folder.exists():
            self._keep_files_of_others()
            aside = self._staging.with_suffix(_ASIDE)
            self.folder.rename(aside)
        try:
            self._staging.rename(self.folder)
        except BaseException:
            if aside is not None and not self.folder.exists():
                aside.rename(self.folder)
            raise
        fsync_folder(self.folder.parent)
        if aside is not None:
            aside.rename(self._staging)  # `restore` no longer puts it back
            shutil.rmtree(self._staging, ignore_errors=True)

    def _keep_files_of_others(self) -> None:
        """Keep the user's other files; old masks go, since they are of other rows."""
        sweep_partials(self.folder, of=MASKS_FILE)
        written = {"meta.json", MASKS_FILE, *_array_files(self.folder)}
        for path in sorted(self.folder.rglob("*")):
            file = path.relative_to(self.folder).as_posix()
            target = self._staging / file
            folder = path.is_dir() and not path.is_symlink()
            if not folder and file not in written and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target, follow_symlinks=False)

    def _failed(self, failure: OSError) -> TableError:
        if isinstance(failure, TableError):
            return failure
        return TableError(
            f"writing the table at {self.folder} failed: {failure.strerror or failure}; nothing was changed there"
        )


def restore(parent: Path, *, of: str | None = None) -> None:
    """Put tables back when a process was killed while it replaced them, and say so; `of` names one table."""
    for aside, name, writer in leftovers(parent, _ASIDE):
        if name is None or writer is None or of not in (None, name):
            continue
        place = parent / name
        dead, vacant = writer.surely_dead(), not place.exists()
        if not vacant:
            if dead:
                with suppress(OSError):
                    remove(aside)
            continue
        said = f"{place} is being replaced, or a process on another machine was killed; the old table is {aside}"
        if dead:
            try:
                aside.rename(place)
            except FileNotFoundError:  # another process was faster
                continue
            except OSError as error:
                said = f"{aside} is the old table of {place} and cannot be put back: {error.strerror or error}"
            else:
                said = f"a process was killed while it replaced {place}; the old table is back, replace it again"
        print(f"nasbench-ar: warning: {said}", file=sys.stderr)


def _array_files(folder: Path) -> list[str]:
    """Files that a table lists; none where it is damaged."""
    try:
        return list(json.loads((folder / "meta.json").read_bytes())["files"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return []


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
