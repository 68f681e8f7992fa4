"""CIFAR-10 through torchvision, CIFAR-10.1 v6 and CIFAR-10-C from their published files, all in one folder:

cifar-10-batches-py/                     CIFAR-10, as torchvision unpacks it
cifar10.1_v6_data.npy, _labels.npy       CIFAR-10.1 v6, here or in CIFAR-10.1/
CIFAR-10-C/<corruption>.npy, labels.npy  CIFAR-10-C
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datagen.images.corruptions import CorruptionFiles
from datagen.images.splits import Dataset, Split, as_split, hold_out
from nasbench_ar.errors import DataError
from nasbench_ar.metrics import CORRUPTIONS, SEVERITIES

if TYPE_CHECKING:
    from datagen.config import DataConfig

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR101_URL = "https://github.com/modestyachts/CIFAR-10.1 (folder datasets)"
CIFAR10C_URL = "https://zenodo.org/records/2535967 (CIFAR-10-C.tar)"
COUNTS = {"train": 50_000, "test": 10_000}
CIFAR101_COUNT = 2_000


def load_cifar10(config: DataConfig) -> Dataset:
    """CIFAR-10 with CIFAR-10.1 v6, or a held-out split, for validation."""
    folder = Path(config.folder)
    train = _torchvision_split(folder, "train", download=config.download)
    test = _torchvision_split(folder, "test", download=config.download)
    if config.validation == "held_out":
        train, val = hold_out(train, config.held_out)
    elif config.validation == "cifar10.1":
        val = load_cifar101(folder)
    else:
        raise DataError(f"data.validation={config.validation}: the source cifar10 has cifar10.1 or held_out only")
    return Dataset("CIFAR-10", train, val, test, classes=10)


def _torchvision_split(folder: Path, purpose: str, *, download: bool) -> Split:
    from torchvision.datasets import CIFAR10

    try:
        source = CIFAR10(str(folder), train=purpose == "train", download=download)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise DataError(
            f"no intact CIFAR-10 in {folder} ({' '.join(str(error).split())}); unpack {CIFAR10_URL} there so that "
            f"{folder / 'cifar-10-batches-py'} exists, or let data.download=true fetch it"
        ) from error
    images, labels = np.asarray(source.data), np.asarray(source.targets)
    _expect(folder / "cifar-10-batches-py", images, (COUNTS[purpose], 32, 32, 3), CIFAR10_URL)
    return as_split(f"CIFAR-10 {purpose}", images, labels)


def load_cifar101(folder: Path) -> Split:
    """CIFAR-10.1 v6: 2,000 new images of the ten classes."""
    arrays = []
    for kind in ("data", "labels"):
        name = f"cifar10.1_v6_{kind}.npy"
        path = next((p for p in (folder / name, folder / "CIFAR-10.1" / name) if p.exists()), folder / name)
        hint = "; or data.validation=held_out validates on images held out from the training set"
        arrays.append(_read_npy(path, CIFAR101_URL, hint))
        _expect(path, arrays[-1], (CIFAR101_COUNT, 32, 32, 3)[: 4 if kind == "data" else 1], CIFAR101_URL, kind)
    return as_split("CIFAR-10.1 v6", np.asarray(arrays[0]), np.asarray(arrays[1]), where=f"{folder}: CIFAR-10.1 ")


def find_corruptions(config: DataConfig, test: Split) -> CorruptionFiles:
    """CIFAR-10-C, or files of its layout for another test set, checked but not yet read."""
    given = Path(str(config.corruptions))
    folder = given if given.is_absolute() or given.exists() else Path(config.folder) / given
    hint = "; or data.corruptions=null leaves the corruption metrics out"
    names = [name for name in (*CORRUPTIONS, "labels") if not (folder / f"{name}.npy").is_file()]
    if names:
        listed = ", ".join(f"{name}.npy" for name in names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
        raise DataError(f"{folder} lacks {listed}; unpack {CIFAR10C_URL} so that the files lie there{hint}")
    rows = len(test) * len(SEVERITIES)
    channels, side = int(test.images.shape[1]), int(test.images.shape[2])
    shape = (rows, side, side, channels)
    for name in CORRUPTIONS:
        images = _read_npy(folder / f"{name}.npy", CIFAR10C_URL, hint)
        gray = channels == 1 and images.ndim == 3
        _expect(folder / f"{name}.npy", images, shape[:3] if gray else shape, CIFAR10C_URL)
    labels = _read_npy(folder / "labels.npy", CIFAR10C_URL, hint)
    _expect(folder / "labels.npy", labels, (rows,), CIFAR10C_URL, "labels")
    if not np.array_equal(labels, np.tile(test.labels.numpy(), len(SEVERITIES))):
        raise DataError(
            f"{folder / 'labels.npy'} does not repeat the labels of {test.name} once per severity: these are "
            "corruptions of another test set, or in another order"
        )
    return CorruptionFiles(folder, len(test))


def _read_npy(path: Path, url: str, hint: str) -> NDArray[Any]:
    try:
        return np.lib.format.open_memmap(path, mode="r")  # not np.load: that would open pickles too
    except FileNotFoundError:
        raise DataError(f"there is no {path}; get it from {url}{hint}") from None
    except Exception as error:  # NumPy's header reader may raise any error of the tokenizer on garbage
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())}; get it again from {url}") from error


def _expect(path: Path, array: NDArray[Any], shape: tuple[int, ...], url: str, kind: str = "data") -> None:
    right_type = array.dtype.kind in "iu" if kind == "labels" else array.dtype == np.uint8
    if array.shape != shape or not right_type:
        wanted = "integers" if kind == "labels" else "uint8"
        raise DataError(f"{path} holds {array.dtype} {array.shape}; expected {wanted} {shape}: get it from {url}")
