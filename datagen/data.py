"""Images and labels, as uint8 tensors with a hash, from CIFAR-10 files, scikit-learn's digits or an `.npz`.

`load_dataset` is the way in.  CIFAR-10 and its relatives are read in `cifar`.

An `.npz` of `profile=arrays` holds `train_images`, `train_labels`, `val_*` and `test_*`:
images uint8, (n, side, side, channels) or (n, side, side) for gray ones, square; labels whole
numbers from 0, below 10,000.  Without `val_*`, say `data.validation=held_out`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.plain import MOST_CLASSES, one_line
from datagen.seeds import derive
from nasbench_ar.errors import DataError
from nasbench_ar.npz import read_npz

if TYPE_CHECKING:
    from datagen.config import DataConfig
    from datagen.corruptions import CorruptionFiles

Uint8Array = NDArray[np.uint8]
DIGITS_TEST = 200


@dataclass(frozen=True)
class Split:
    """Images of one purpose.

    Attributes:
        name: where they come from, for provenance.
        images: (n, channels, side, side) uint8.
        labels: (n,) int64.
    """

    name: str
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def sha256(self) -> str:
        """Hex SHA-256 over pixels and labels."""
        digest = hashlib.sha256(str(tuple(self.images.shape)).encode())
        digest.update(self.images.contiguous().numpy().data)
        digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device) -> Split:
        """The same on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Everything a training and its evaluation need.

    Attributes:
        name: as reports print it.
        train: training images.
        val: validation images.
        test: test images.
        classes: number of classes.
        corruptions: corrupted copies of the test images, if there are any.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: int
    corruptions: CorruptionFiles | None = None

    @property
    def image_size(self) -> int:
        """Side of the square images in pixels."""
        return int(self.train.images.shape[-1])

    @property
    def image_channels(self) -> int:
        """1 for gray images, 3 for colours."""
        return int(self.train.images.shape[1])

    def describe(self) -> dict[str, Any]:
        """Names, counts and hashes: what a store compares."""
        out: dict[str, Any] = {"name": self.name, "classes": self.classes}
        for purpose in ("train", "val", "test"):
            split: Split = getattr(self, purpose)
            out[purpose] = {"from": split.name, "images": len(split), "sha256": split.sha256()}
        out["corruptions"] = None if self.corruptions is None else self.corruptions.describe()
        return out


def load_dataset(config: DataConfig) -> Dataset:
    """Read what a configuration names.

    Raises:
        DataError: when a file is missing (says where to get it) or is not what it should be.
    """
    from datagen import cifar  # it needs what is defined here

    load = {"cifar10": cifar.load_cifar10, "digits": load_digits, "arrays": load_arrays}[config.source]
    dataset = load(config)
    if config.corruptions is not None:
        dataset = replace(dataset, corruptions=cifar.find_corruptions(config, dataset.test))
    return dataset


def load_digits(config: DataConfig) -> Dataset:
    """scikit-learn's digits: 1,797 gray images of 8x8, shuffled once; the last 200 are the test."""
    from sklearn.datasets import load_digits as load

    _require_validation(config, "digits", ("held_out",))
    pixels, labels = load(return_X_y=True)
    order = np.random.default_rng(derive(0, "digits") % 2**32).permutation(len(labels))
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)[order]
    every = as_split("scikit-learn digits", images, labels[order])
    rest, test = cut(every, len(every) - DIGITS_TEST, "test")
    train, val = hold_out(rest, config.held_out)
    return Dataset("scikit-learn digits", train, val, test, classes=10)


def load_arrays(config: DataConfig) -> Dataset:
    """An `.npz` of the user's own."""
    _require_validation(config, "arrays", ("file", "held_out"))
    path = Path(str(config.file))
    arrays = _read_npz(path)
    purposes = ("train", "val", "test") if config.validation == "file" else ("train", "test")
    missing = [f"{p}_{kind}" for p in purposes for kind in ("images", "labels") if f"{p}_{kind}" not in arrays]
    if missing:
        hint = "; or data.validation=held_out" if all(name.startswith("val_") for name in missing) else ""
        raise DataError(f"{path} lacks {', '.join(missing)}; it has {', '.join(arrays) or 'nothing'}{hint}")
    splits = {
        p: as_split(f"{path.name}, {p}", arrays[f"{p}_images"], arrays[f"{p}_labels"], where=f"{path}: {p}_")
        for p in purposes
    }
    if "val" not in splits:
        splits["train"], splits["val"] = hold_out(splits["train"], config.held_out)
    shapes = {p: tuple(split.images.shape[1:]) for p, split in splits.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path}: images differ in shape (channels, side, side): {shapes}; expected the same in all")
    classes = 1 + max(int(split.labels.max()) for split in splits.values())
    if classes < 2:
        raise DataError(f"{path}: all labels are 0; expected at least two classes")
    return Dataset(path.name, splits["train"], splits["val"], splits["test"], classes)


def _require_validation(config: DataConfig, source: str, allowed: tuple[str, ...]) -> None:
    if config.validation not in allowed:
        words = " or ".join(allowed)
        raise DataError(f"data.validation={config.validation}: the source {source} has {words} only")


def _read_npz(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        return read_npz(path, compressed=True)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; give data.file= the path of an .npz") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path} as an .npz of plain arrays: {one_line(error)}") from error


def as_split(name: str, images: NDArray[Any], labels: NDArray[Any], *, where: str = "") -> Split:
    """Check two arrays and turn them into tensors.

    Args:
        name: of the split.
        images: (n, side, side, channels) or (n, side, side) uint8.
        labels: (n,) integers from 0.
        where: beginning of error messages.

    Raises:
        DataError: on any other shape or type, or when there is no image.
    """
    if images.ndim == 3:
        images = images[..., None]
    square = images.ndim == 4 and images.shape[1] == images.shape[2] and images.shape[3] in (1, 3)
    if images.dtype != np.uint8 or not square or not len(images):
        raise DataError(
            f"{where}images is {images.dtype} {images.shape}; expected uint8 (n, side, side, 1 or 3 channels)"
        )
    if labels.ndim != 1 or len(labels) != len(images) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(
            f"{where}labels is {labels.dtype} {labels.shape}; expected ({len(images)},) whole numbers from 0"
        )
    if labels.max() >= MOST_CLASSES:
        raise DataError(
            f"{where}labels go up to {labels.max()}; expected whole numbers from 0, a class each, below {MOST_CLASSES}"
        )
    channels_first = np.array(images.transpose(0, 3, 1, 2), order="C")
    return Split(name, torch.from_numpy(channels_first), torch.from_numpy(labels.astype(np.int64)))


def cut(split: Split, n: int, purpose: str) -> tuple[Split, Split]:
    """The first `n` images, and the rest."""
    total = len(split)
    head = Split(f"{split.name}, 0..{n - 1}", split.images[:n], split.labels[:n])
    tail = Split(f"{split.name}, {purpose} {n}..{total - 1}", split.images[n:], split.labels[n:])
    return head, tail


def hold_out(train: Split, n: int) -> tuple[Split, Split]:
    """Take the last `n` training images for validation.

    Raises:
        DataError: when no training image would remain.
    """
    if n >= len(train):
        raise DataError(f"data.held_out={n}: there are {len(train)} training images; hold out fewer")
    return cut(train, len(train) - n, "held out")
