"""The folder of a table while it is written: complete or not at all.

Everything goes into a hidden folder beside the place, is flushed to the disk and then
renamed, so that a reader never sees half a table and a failure leaves nothing behind.
The next process removes, or restores (`restore`), what a killed one left.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.errors import TableError
from nasbench_ar.metrics import Metric
from nasbench_ar.system.files import (
    file_sha256,
    fsync_folder,
    leftovers,
    partial_path,
    remove,
    sweep_partials,
    write_atomically,
)

MASKS_FILE = "masks.npz"  # beside the arrays, of the same rows; see `masks`
POSSIBLE = "a table holds finite values, and percentages from 0 to 100"
_CHUNK_ROWS = 256
_ASIDE = ".replaced"  # suffix of an old table's folder while a new one takes its place


class TableFolder:
    """Where a table is written, and the hidden folder that becomes it; `TableError` where that cannot be."""

    def __init__(self, place: Path, *, replace: bool) -> None:
        self.place = place
        self._replace = replace
        self._row_files: dict[str, _RowFile] = {}
        try:
            restore(place.parent, of=place.name)
            self._check_place()
            sweep_partials(place.parent, of=place.name)
            self.staging = partial_path(place)
            self.staging.mkdir(parents=True)
        except TableError:
            raise
        except OSError as error:
            raise TableError(
                f"cannot write a table at {place}: {error.strerror or error}; choose a place where you may write"
            ) from error

    def _check_place(self) -> None:
        if not self.place.exists():
            return
        if not self._replace:
            raise TableError(
                f"{self.place} exists already; choose another name or folder, or replace it "
                "explicitly (replace=True, --replace)"
            )
        if not (self.place / "meta.json").is_file():
            raise TableError(
                f"{self.place} holds something else than a table and is not replaced; choose "
                "another folder, or remove it yourself"
            )

    def append(self, file: str, metric: Metric, row: int, values: NDArray[np.float64]) -> None:
        """Add a row to a file of the metric's values; rows before it that were not given are NaN."""
        try:
            if file not in self._row_files:
                self._row_files[file] = _RowFile(self.staging / file, metric, values.shape)
            self._row_files[file].pad_to(row)
            self._row_files[file].append(values)
        except OSError as failure:
            raise self._failed(failure) from failure

    def finish(self, meta: Mapping[str, Any], rows: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write `arrays` and `meta`, with the hashes of all files, and put the table in its place."""
        try:
            for file, array in arrays.items():
                path = self.staging / file
                path.parent.mkdir(exist_ok=True)
                with path.open("wb") as stream:
                    np.save(stream, array, allow_pickle=False)
                    stream.flush()
                    os.fsync(stream.fileno())
            for row_file in self._row_files.values():
                row_file.pad_to(rows)
                row_file.close()
            files = sorted([*arrays, *self._row_files])
            listed = {file: {"sha256": file_sha256(self.staging / file)} for file in files}
            content = json.dumps({**meta, "rows": rows, "files": listed}, indent=1)
            write_atomically(self.staging / "meta.json", content.encode() + b"\n")
            self._publish()
        except OSError as failure:
            raise self._failed(failure) from failure

    def discard(self) -> None:
        """Remove what has not become the table."""
        for row_file in self._row_files.values():
            row_file.discard()
        shutil.rmtree(self.staging, ignore_errors=True)

    def _publish(self) -> None:
        aside = None
        if self._replace and self.place.exists():
            self._keep_files_of_others()
            aside = self.staging.with_suffix(_ASIDE)
            self.place.rename(aside)
        try:
            self.staging.rename(self.place)
        except BaseException:
            if aside is not None and not self.place.exists():
                aside.rename(self.place)
            raise
        fsync_folder(self.place.parent)
        if aside is not None:
            aside.rename(self.staging)  # `restore` no longer puts it back
            shutil.rmtree(self.staging, ignore_errors=True)

    def _keep_files_of_others(self) -> None:
        """Keep the user's other files; old masks go, since they are of other rows."""
        sweep_partials(self.place, of=MASKS_FILE)
        written = {"meta.json", MASKS_FILE, *_array_files(self.place)}
        for path in sorted(self.place.rglob("*")):
            file = path.relative_to(self.place).as_posix()
            target = self.staging / file
            folder = path.is_dir() and not path.is_symlink()
            if not folder and file not in written and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target, follow_symlinks=False)

    def _failed(self, failure: OSError) -> TableError:
        if isinstance(failure, TableError):
            return failure
        return TableError(
            f"writing the table at {self.place} failed: {failure.strerror or failure}; nothing was changed there"
        )


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
                raise TableError(f"a row has {values[wrong][0]}, which {self.metric.name} cannot be; {POSSIBLE}")
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
