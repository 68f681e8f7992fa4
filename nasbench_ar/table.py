"""A table on disk, opened for reading: arrays are memory-mapped, and checked when first used.

This is the storage level (layout: `table_writer`): rows are (architecture, seed) pairs, NaN
marks a missing value.  Users ask the `Oracle` built on it, which never returns a missing value.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.errors import MetricError, SpaceError, TableError, shown
from nasbench_ar.html_table import html_table
from nasbench_ar.metrics import CELLS_LIKE, CORRUPTIONS, CURVES, SEVERITIES, catalogue
from nasbench_ar.space import space_from_dict
from nasbench_ar.system.files import file_sha256
from nasbench_ar.table_writer import FORMAT, FORMAT_VERSION, NAME, NAME_RULE

_LONGEST_NAME = 255  # of a file on Linux
_META_KEYS = {
    "name": str,
    "title": str,
    "provenance": str,
    "licence": str,
    "default_objective": str,
    "differs": dict,
    "notes": list,
    "source": dict,
    "space": dict,
    "rows": int,
    "files": dict,
}


class Table:
    """One table folder.

    Attributes:
        folder: where it is.
        meta: the content of `meta.json`.
        name: its name in reports.
        title: one line saying what the numbers are.
        space: the search space.
        catalogue: every metric that the table may have, by name: the authors', then those it defines itself.
        rows: number of (architecture, seed) rows.

    Raises:
        TableError: when the folder holds no readable table of this format.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._arrays: dict[str, NDArray[Any]] = {}
        self.meta = _read_meta(self.folder)
        self.name: str = self.meta["name"]
        self.title: str = self.meta["title"]
        self.rows: int = self.meta["rows"]
        self.default_objective: str = self.meta["default_objective"]
        try:
            self.space = space_from_dict(self.meta["space"])
            self.catalogue = catalogue(self.space, self.meta.get("metrics", []))
        except (SpaceError, MetricError) as error:
            raise self._damaged("meta.json", str(error)) from error
        if self.default_objective not in self.catalogue:
            raise self._damaged("meta.json", f"unknown default objective {shown(self.default_objective)}")

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {self.rows} rows, {self.folder})"

    def _repr_html_(self) -> str:
        stored = [("scalars", self.scalar_names), ("curves", self.curve_names), ("flags", self.flag_names)]
        stored += [("corruptions", self.corruption_kinds), ("labels", self.label_names)]
        lines = [(kind, len(names), ", ".join(names)) for kind, names in stored if names]
        return html_table(f"{self.name}: {self.title}; {self.extent}", ("stored", "number", "names"), lines)

    def __reduce__(self) -> tuple[type[Table], tuple[Path]]:
        # A worker process maps the files itself instead of being sent their content.
        return Table, (self.folder.absolute(),)

    @cached_property
    def content_hash(self) -> str:
        """Hex SHA-256 over the hashes of all arrays: equal for equal numbers."""
        own = [self.meta["metrics"]] if "metrics" in self.meta else []
        listing = json.dumps([self.meta["space"], self.meta["files"], *own], sort_keys=True)
        return hashlib.sha256(listing.encode()).hexdigest()

    @property
    def extent(self) -> str:
        """How much it holds, in words."""
        return f"{len(np.unique(self.arch_index))} architectures, {self.rows} trainings"

    @cached_property
    def arch_index(self) -> NDArray[np.int32]:
        """(rows,) int32 lexicographic index of each row's architecture."""
        index = self._read("arch_index.npy", (self.rows,), np.dtype(np.int32))
        if not 0 <= index.min() <= index.max() < self.space.product_size:
            raise self._damaged("arch_index.npy", "holds indices outside the space")
        return index

    @cached_property
    def seeds(self) -> NDArray[np.int64]:
        """(rows,) int64 training seed of each row."""
        return self._read("seed.npy", (self.rows,), np.dtype(np.int64))

    @cached_property
    def scalar_names(self) -> tuple[str, ...]:
        """Metrics stored as scalars, in catalogue order."""
        stored = self._stored("scalars/")
        return tuple(name for name in self.catalogue if name in stored)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics the table can answer, in catalogue order."""
        stored = {*self.space.known_costs, *self.scalar_names}
        return tuple(name for name in self.catalogue if name in stored)

    @cached_property
    def curve_names(self) -> tuple[str, ...]:
        """Metrics stored as curves over the epochs, in the authors' order."""
        stored = self._stored("curves/")
        return tuple(name for name in CURVES if name in stored)

    @cached_property
    def corruption_kinds(self) -> tuple[str, ...]:
        """`acc` and `loss`, if the table has cells per corruption."""
        stored = self._stored("corruptions/")
        return tuple(kind for kind in CELLS_LIKE if kind in stored)

    @cached_property
    def flag_names(self) -> tuple[str, ...]:
        """Marks on rows, such as `low_mode`."""
        return tuple(self._stored("flags/"))

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Short texts on rows, such as `gpu_type`."""
        return tuple(self._stored("labels/"))

    def _stored(self, prefix: str) -> list[str]:
        return [f.removeprefix(prefix).removesuffix(".npy") for f in self.meta["files"] if f.startswith(prefix)]

    @cached_property
    def epochs(self) -> int:
        """Length of the curves; 0 where there are none."""
        return self.curve(self.curve_names[0]).shape[1] if self.curve_names else 0

    def scalar(self, name: str) -> NDArray[np.float64]:
        """(rows,) float64 values of a stored metric, NaN where missing."""
        if name not in self.scalar_names:
            raise MetricError(f"table {self.name} has no {name}; it has {', '.join(self.metrics)}")
        return self._read_values(f"scalars/{name}.npy", name, (self.rows,))

    def curve(self, name: str) -> NDArray[np.float64]:
        """(rows, epochs) float64 memory map of a curve, NaN where missing."""
        if name not in self.curve_names:
            has = ", ".join(self.curve_names) or "none at all"
            raise MetricError(f"table {self.name} has no curve of {name} over the epochs; curves: {has}")
        return self._read_values(f"curves/{name}.npy", name, (self.rows, None))

    def corruptions(self, kind: str) -> NDArray[np.float64]:
        """(rows, 19, 5) float64 memory map; `kind` is `acc` (percent) or `loss`."""
        if kind not in self.corruption_kinds:
            has = ", ".join(self.corruption_kinds) or "none"
            raise MetricError(f"table {self.name} has no corruption cells of kind {shown(kind)}; it has {has}")
        shape = (self.rows, len(CORRUPTIONS), len(SEVERITIES))
        return self._read_values(f"corruptions/{kind}.npy", CELLS_LIKE[kind], shape)

    def flag(self, name: str) -> NDArray[np.bool_]:
        """(rows,) bool."""
        if name not in self.flag_names:
            raise MetricError(
                f"table {self.name} has no flag {shown(name)}; flags: {', '.join(self.flag_names) or 'none'}"
            )
        return self._read(f"flags/{name}.npy", (self.rows,), np.dtype(np.bool_))

    def label(self, name: str) -> NDArray[np.str_]:
        """(rows,) fixed-width text."""
        if name not in self.label_names:
            has = ", ".join(self.label_names) or "none"
            raise MetricError(f"table {self.name} has no label {shown(name)}; labels: {has}")
        return self._read(f"labels/{name}.npy", (self.rows,), np.dtype(np.str_))

    def _read_values(self, file: str, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
        """Rejects impossible values even under the right hash."""
        known = file in self._arrays
        values = self._read(file, shape, np.dtype(np.float64))
        if not known and (wrong := self.catalogue[name].impossible(values)).any():
            row = int(np.argwhere(wrong)[0][0])
            self._arrays.pop(file, None)
            raise self._damaged(file, f"row {row} holds {values[wrong][0]}, which {name} cannot be")
        return values

    def _read(self, file: str, shape: tuple[int | None, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        if file in self._arrays:
            return self._arrays[file]
        path = self.folder / file
        try:
            if file_sha256(path) != self.meta["files"][file]["sha256"]:
                raise self._damaged(file, "its content does not match the hash in meta.json")
            # Not np.load: that would also open archives and pickles.
            array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        except FileNotFoundError:
            raise self._damaged(file, "the file is missing") from None
        except (TableError, MemoryError):
            raise
        except OSError as error:
            raise TableError(f"cannot read {path}: {error.strerror or error}") from error
        except Exception as error:  # NumPy's header reader may raise any error of the tokenizer on garbage
            raise self._damaged(file, f"not a whole .npy file ({shown(str(error), 200)})") from error
        fits = len(array.shape) == len(shape) and all(
            want in (None, got) for want, got in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind != dtype.kind or (dtype.itemsize and array.dtype != dtype):
            expected = tuple("any" if n is None else n for n in shape)
            raise self._damaged(file, f"holds {array.dtype} {array.shape}; expected {dtype} {expected}")
        self._arrays[file] = array
        return array

    def verify(self) -> None:
        """Read every array and compare its hash with `meta.json`.

        Raises:
            TableError: at the first file that is missing, damaged or of the wrong shape.
        """
        for file, facts in self.meta["files"].items():
            path = self.folder / file
            try:
                digest = file_sha256(path)
            except OSError as error:
                raise self._damaged(file, error.strerror or str(error)) from error
            except ValueError as error:  # a name that no file can have
                raise self._damaged(file, str(error)) from error
            if digest != facts["sha256"]:
                raise self._damaged(file, "its content does not match the hash in meta.json")
        pairs = np.stack([self.arch_index.astype(np.int64), self.seeds])
        if np.unique(pairs, axis=1).shape[1] != self.rows:
            raise self._damaged("seed.npy", "an architecture has two rows of the same seed")
        readers: tuple[tuple[tuple[str, ...], Callable[[str], NDArray[Any]]], ...] = (
            (self.scalar_names, self.scalar),
            (self.curve_names, self.curve),
            (self.corruption_kinds, self.corruptions),
            (self.flag_names, self.flag),
            (self.label_names, self.label),
        )
        for names, read in readers:
            for name in names:
                read(name)
        if len({self.curve(name).shape for name in self.curve_names}) > 1:
            raise self._damaged("curves", "they differ in length")

    def _damaged(self, file: str, what: str) -> TableError:
        return TableError(
            f"the table at {self.folder} is damaged: {file}: {what}; import it again or restore the folder"
        )


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / "meta.json"
    try:
        meta = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise TableError(f"{folder} is not a table: there is no meta.json in it") from None
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TableError(f"{path} is damaged: not valid JSON ({error}); import the table again") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise TableError(f"{path} does not describe a table of format {FORMAT!r}")
    if meta.get("format_version") != FORMAT_VERSION:
        raise TableError(
            f"{path} has format version {shown(meta.get('format_version'))}; this release reads version "
            f"{FORMAT_VERSION}: import the table again or update nasbench-ar"
        )
    for key, kind in _META_KEYS.items():
        if not isinstance(meta.get(key), kind) or isinstance(meta.get(key), bool):
            raise TableError(f"{path} is damaged: {key!r} is missing or not a {kind.__name__}; import the table again")
    if not isinstance(meta.get("metrics", []), list):
        raise TableError(f"{path} is damaged: 'metrics' is not a list; import the table again")
    if not NAME.fullmatch(meta["name"]):
        raise TableError(f"{path} is damaged: {shown(meta['name'])} cannot name a table; {NAME_RULE}")
    for file, facts in meta["files"].items():
        within = not Path(file).is_absolute() and ".." not in Path(file).parts
        named = within and file.endswith(".npy") and file.isprintable() and len(file) <= _LONGEST_NAME
        if not named or not isinstance(facts, dict) or "sha256" not in facts:
            raise TableError(f"{path} is damaged: bad entry {shown(file)} in 'files'; import the table again")
    if not all(isinstance(text, str) for text in (*meta["notes"], *meta["differs"].values())):
        raise TableError(f"{path} is damaged: 'notes' and 'differs' hold texts only; import the table again")
    try:
        json.dumps(meta, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:  # half a character, say, which cannot be printed
        raise TableError(f"{path} is damaged: {shown(str(error), 200)}; import the table again") from error
    if meta["rows"] < 1 or not {"arch_index.npy", "seed.npy"} <= set(meta["files"]):
        raise TableError(f"{path} is damaged: it names no rows; import the table again")
    return meta
