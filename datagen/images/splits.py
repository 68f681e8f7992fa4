"""Splits of a dataset: images and labels of one purpose."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasbench_ar.errors import DataError
from nasbench_ar.system.checked_json import MOST_CLASSES

if TYPE_CHECKING:
    from datagen.images.corruptions import CorruptionFiles


@dataclass(frozen=True)
class Split:
    """Images of one purpose: (n, channels, side, side) uint8, with (n,) int64 labels."""

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
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
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
        """Names, counts and hashes, which a store compares."""
        out: dict[str, Any] = {"name": self.name, "classes": self.classes}
        for purpose in ("train", "val", "test"):
            split: Split = getattr(self, purpose)
            out[purpose] = {"from": split.name, "images": len(split), "sha256": split.sha256()}
        out["corruptions"] = None if self.corruptions is None else self.corruptions.describe()
        return out


def as_split(name: str, images: NDArray[Any], labels: NDArray[Any], *, where: str = "") -> Split:
    """Tensors of uint8 images, (n, side, side, channels) or (n, side, side), and (n,) integer labels, checked."""
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
    """Take the last `n` training images for validation."""
    if n >= len(train):
        raise DataError(f"data.held_out={n}: there are {len(train)} training images; hold out fewer")
    return cut(train, len(train) - n, "held out")
