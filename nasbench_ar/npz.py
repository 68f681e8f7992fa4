"""Archives of plain arrays, as `numpy.savez` writes them, read with suspicion.

`numpy.load` reserves whatever memory a damaged header asks for, unpacks archives to any
size, and lets through what a dozen libraries raise.  Here nothing is larger than the
file, every checksum is compared, and all damage is one kind of error.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SUFFIX = ".npy"


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Name -> array of an archive that was not compressed.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is no such archive, or damaged; says how, on one line.
    """
    try:
        with Path(path).open("rb") as stream, zipfile.ZipFile(stream) as pack:
            members = pack.infolist()
            if sum(member.compress_size for member in members) > os.fstat(stream.fileno()).st_size:
                raise ValueError("its members overlap")
            arrays = {member.filename.removesuffix(_SUFFIX): _array(pack, member) for member in members}
    except (OSError, MemoryError):
        raise
    except Exception as error:  # what zipfile and NumPy's header reader let through on garbage is open-ended
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from error
    if len(arrays) != len(members):
        raise ValueError("two of its arrays have the same name")
    return arrays


def _array(pack: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename[:60]!r} is compressed")
    content = io.BytesIO(pack.read(member))
    version = np.lib.format.read_magic(content)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{member.filename[:60]!r} has version {version} of the .npy format")
    shape, _, dtype = read(content)
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content.read()):
        raise ValueError(f"{member.filename[:60]!r} does not hold {dtype} {shape}, as its header says")
    content.seek(0)
    return np.lib.format.read_array(content, allow_pickle=False)
