"""Which test images a network still classifies under which attack: `masks.npz` beside the arrays of a table.

    masks = load_masks("mytable")
    standing = masks.standing("pgd")  # (rows, images) bool, rows as in the table
    robust_to_both = (standing & masks.standing("cw")).mean(axis=1)

The file is a NumPy archive without pickles:

    arch_index          (rows,) int32, as the table's
    seed                (rows,) int64, as the table's
    images              () int64, how many bits of each row count
    bits/<attack>       (rows, ceil(images / 8)) uint8, `numpy.packbits` along the images
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.errors import MetricError, TableError, shown
from nasbench_ar.system.files import open_atomically, sweep_partials
from nasbench_ar.system.npz import read_npz
from nasbench_ar.table import Table
from nasbench_ar.table_folder import MASKS_FILE

FILE = MASKS_FILE

_PREFIX = "bits/"


@dataclass(frozen=True)
class Masks:
    """Bit masks of a table; its arrays are those of the file, `bits` by attack."""

    arch_index: NDArray[np.int32]
    seeds: NDArray[np.int64]
    images: int
    bits: Mapping[str, NDArray[np.uint8]]

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names, such as `clean`, `pgd`, `cw` and `apgd-t`."""
        return tuple(self.bits)

    def standing(self, attack: str, *, rows: Any = slice(None)) -> NDArray[np.bool_]:
        """(rows, images) bool: still classified correctly under one of `attacks`; `rows` of the table, or all.

        Raises:
            MetricError: when there is no such attack.
        """
        if attack not in self.bits:
            raise MetricError(f"no masks of {shown(attack)}; there are {', '.join(self.attacks)}")
        return np.unpackbits(self.bits[attack][rows], axis=-1, count=self.images).astype(bool)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write them beside the arrays of the table in `folder`, whole or not at all.

        Raises:
            TableError: when that fails.
        """
        arrays: dict[str, NDArray[Any]] = {
            "arch_index": self.arch_index,
            "seed": self.seeds,
            "images": np.array(self.images, dtype=np.int64),
        }
        arrays |= {_PREFIX + name: bits for name, bits in self.bits.items()}
        path = Path(folder) / FILE
        sweep_partials(path.parent, of=FILE)
        try:
            with open_atomically(path) as stream:
                np.savez(stream, allow_pickle=False, **arrays)
        except OSError as error:
            raise TableError(f"cannot write {path}: {error.strerror or error}") from error


def load_masks(table: str | os.PathLike[str] | Table) -> Masks:
    """Read the masks of a table or its folder, and check that they are of its rows.

    Raises:
        TableError: when there are none, or they are damaged or of other rows.
    """
    table = table if isinstance(table, Table) else Table(table)
    path = table.folder / FILE
    remedy = "export the table again with masks=true"
    try:
        arrays = read_npz(path)
    except FileNotFoundError:
        raise TableError(f"{table.folder} has no {FILE}; {remedy}") from None
    except (OSError, ValueError) as error:
        raise TableError(f"{path} is damaged ({error}); {remedy}") from error
    bits = {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
    wanted = {"arch_index": np.int32, "seed": np.int64, "images": np.int64}
    for name, kind in wanted.items():
        if name not in arrays or arrays[name].dtype != kind or arrays[name].ndim != (name != "images"):
            raise TableError(f"{path} is damaged (it has no whole array {name!r}); {remedy}")
    index, seeds, images = arrays["arch_index"], arrays["seed"], int(arrays["images"])
    shape = (table.rows, -(-images // 8))
    fits = images > 0 and all(array.shape == shape and array.dtype == np.uint8 for array in bits.values())
    if not fits or not np.array_equal(index, table.arch_index) or not np.array_equal(seeds, table.seeds):
        raise TableError(f"{path} is not of the rows of this table; {remedy}")
    unused = 0xFF >> (images % 8 or 8)  # bits of the last byte that stand for no image
    if any((array[:, -1] & unused).any() for array in bits.values()):
        raise TableError(f"{path} is damaged (there are bits beyond its {images} images); {remedy}")
    return Masks(index, seeds, images, bits)
