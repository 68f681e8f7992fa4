"""Archives of plain arrays, as `numpy.savez` writes them, read with suspicion.

`numpy.load` reserves all memory that a damaged header asks for, unpacks archives to any
size, and lets through the errors of a dozen libraries. Here sizes are compared with the
file's before anything is read, every checksum is compared, and all damage is a ValueError.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.errors import one_line
from nasbench_ar.system.files import most_unpacked

_SUFFIX = ".npy"


def read_npz(
    path: str | os.PathLike[str], *, compressed: bool = False, only: Callable[[str], bool] = lambda name: True
) -> dict[str, NDArray[Any]]:
    """Name -> array of an archive, for the names that `only` accepts."""
    try:
        with Path(path).open("rb") as stream, zipfile.ZipFile(stream) as pack:
            members = [m for m in pack.infolist() if only(m.filename.removesuffix(_SUFFIX))]
            size = os.fstat(stream.fileno()).st_size
            if sum(member.compress_size for member in members) > size:
                raise ValueError("its members overlap")
            if (unpacked := sum(member.file_size for member in members)) > most_unpacked(size):
                most = most_unpacked(size)
                raise ValueError(f"it would unpack from {size:,} bytes to {unpacked:,}, more than the {most:,} allowed")
            arrays = {member.filename.removesuffix(_SUFFIX): _array(pack, member, compressed) for member in members}
    except (OSError, MemoryError):
        raise
    except Exception as error:  # garbage makes zipfile and NumPy's header reader raise anything
        raise ValueError(one_line(error)) from error
    if len(arrays) != len(members):
        raise ValueError("two of its arrays have the same name")
    return arrays


def _array(pack: zipfile.ZipFile, member: zipfile.ZipInfo, compressed: bool) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, *([zipfile.ZIP_DEFLATED] if compressed else [])):
        raise ValueError(f"{member.filename[:60]!r} is compressed")
    if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
        raise ValueError(f"{member.filename[:60]!r} has two sizes")
    with pack.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"{member.filename[:60]!r} has version {version} of the .npy format")
        shape, _, dtype = read(stream)
        content = member.file_size - stream.tell()
    if math.prod(shape) * dtype.itemsize != content:
        raise ValueError(f"{member.filename[:60]!r} does not hold {dtype} {shape}, as its header says")
    with pack.open(member) as stream:  # once more, as going back in it would switch the checksum off
        return np.lib.format.read_array(stream, allow_pickle=False)
