"""CIFAR-10 and CIFAR-100 through torchvision, which opens only files of known digests, and their relatives:

cifar-10-batches-py/                     CIFAR-10, as torchvision unpacks it
cifar-100-python/                        CIFAR-100, likewise
cifar10.1_v6_data.npy, _labels.npy       CIFAR-10.1 v6, here or in CIFAR-10.1/
CIFAR-10-C/<corruption>.npy, labels.npy  CIFAR-10-C; CIFAR-100-C has the same layout
"""

from __future__ import annotations

from dataclasses import dataclass
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

CIFAR101_URL = "https://github.com/modestyachts/CIFAR-10.1 (folder datasets)"
COUNTS = {"train": 50_000, "test": 10_000}
CIFAR101_COUNT = 2_000


@dataclass(frozen=True)
class Cifar:
    """One of the two; `reader` is torchvision's class."""

    name: str
    reader: str
    classes: int
    corruptions_url: str


CIFARS = {
    "cifar10": Cifar("CIFAR-10", "CIFAR10", 10, "https://zenodo.org/records/2535967 (CIFAR-10-C.tar)"),
    "cifar100": Cifar("CIFAR-100", "CIFAR100", 100, "https://zenodo.org/records/3555552 (CIFAR-100-C.tar)"),
}


def load_cifar(config: DataConfig) -> Dataset:
    """CIFAR-10 or CIFAR-100 with CIFAR-10.1 v6, or a held-out split, for validation."""
    folder, cifar = Path(config.folder), CIFARS[config.source]
    train = _torchvision_split(cifar, folder, "train", download=config.download)
    test = _torchvision_split(cifar, folder, "test", download=config.download)
    if config.validation == "held_out":
        train, val = hold_out(train, config.held_out)
    else:
        val = load_cifar101(folder)
    return Dataset(cifar.name, train, val, test, cifar.classes)


def _torchvision_split(cifar: Cifar, folder: Path, purpose: str, *, download: bool) -> Split:
    from torchvision import datasets

    reader = getattr(datasets, cifar.reader)
    try:
        source = reader(str(folder), train=purpose == "train", download=download)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise DataError(
            f"no intact {cifar.name} in {folder} ({' '.join(str(error).split())}); unpack {reader.url} there so that "
            f"{folder / reader.base_folder} exists, or let data.download=true fetch it"
        ) from error
    images, labels = np.asarray(source.data), np.asarray(source.targets)
    _expect(folder / reader.base_folder, images, (COUNTS[purpose], 32, 32, 3), reader.url)
    return as_split(f"{cifar.name} {purpose}", images, labels)


def load_cifar101(folder: Path) -> Split:
    """CIFAR-10.1 v6: 2,000 new images of the ten classes."""
    arrays = []
    for kind in ("data", "labels"):
        name = f"cifar10.1_v6_{kind}.npy"
        path = next((p for p in (folder / name, folder / "CIFAR-10.1" / name) if p.exists()), folder / name)
        hint = "; or data.validation=held_out validates on images held out from the training set"
        arrays.append(_read_npy(path, CIFAR101_URL, hint))
        _expect(path, arrays[-1], (CIFAR101_COUNT, 32, 32, 3)[: 4 if kind == "data" else 1], CIFAR101_URL, kind)
    classes = CIFARS["cifar10"].classes
    if (highest := int(arrays[1].max())) >= classes:
        raise DataError(f"{path} has labels up to {highest}; expected 0 to {classes - 1}: get it from {CIFAR101_URL}")
    return as_split("CIFAR-10.1 v6", np.asarray(arrays[0]), np.asarray(arrays[1]), where=f"{folder}: CIFAR-10.1 ")


def find_corruptions(config: DataConfig, test: Split) -> CorruptionFiles:
    """CIFAR-10-C, or files of its layout for another test set, checked but not yet read."""
    url = CIFARS[config.source if config.source in CIFARS else "cifar10"].corruptions_url
    given = Path(str(config.corruptions))
    folder = given if given.is_absolute() or given.exists() else Path(config.folder) / given
    hint = "; or data.corruptions=null leaves the corruption metrics out"
    names = [name for name in (*CORRUPTIONS, "labels") if not (folder / f"{name}.npy").is_file()]
    if names:
        listed = ", ".join(f"{name}.npy" for name in names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
        raise DataError(f"{folder} lacks {listed}; unpack {url} so that the files lie there{hint}")
    rows = len(test) * len(SEVERITIES)
    channels, side = int(test.images.shape[1]), int(test.images.shape[2])
    shape = (rows, side, side, channels)
    for name in CORRUPTIONS:
        images = _read_npy(folder / f"{name}.npy", url, hint)
        gray = channels == 1 and images.ndim == 3
        _expect(folder / f"{name}.npy", images, shape[:3] if gray else shape, url)
    labels = _read_npy(folder / "labels.npy", url, hint)
    _expect(folder / "labels.npy", labels, (rows,), url, "labels")
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
