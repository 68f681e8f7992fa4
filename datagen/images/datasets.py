"""Images and labels, as uint8 tensors with a hash, from CIFAR files, scikit-learn's digits or an `.npz`.

An `.npz` of `profile=arrays` holds `train_images`, `train_labels`, `val_*` and `test_*`:
square uint8 images, (n, side, side, channels) or (n, side, side) for gray ones; labels are
integers from 0 to 9,999, and every class has training images.  Without `val_*`, say
`data.validation=held_out`: the images at the end, which must be of all classes too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datagen.images.classes import check_classes
from datagen.images.splits import Dataset, as_split, cut, hold_out
from datagen.seeds import derive
from nasbench_ar.errors import DataError, one_line
from nasbench_ar.system.npz import read_npz

if TYPE_CHECKING:
    from datagen.config import DataConfig

DIGITS_TEST = 200


def load_dataset(config: DataConfig) -> Dataset:
    from datagen.images import cifar  # it needs what is defined here

    config.check_validation()
    load = {"digits": load_digits, "arrays": load_arrays}.get(config.source, cifar.load_cifar)
    dataset = load(config)
    if config.corruptions is not None:
        dataset = replace(dataset, corruptions=cifar.find_corruptions(config, dataset.test))
    return dataset


def load_digits(config: DataConfig) -> Dataset:
    """scikit-learn's digits: 1,797 gray images of 8x8, shuffled once; the last 200 are the test."""
    from sklearn.datasets import load_digits as load

    pixels, labels = load(return_X_y=True)
    order = np.random.default_rng(derive(0, "digits") % 2**32).permutation(len(labels))
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)[order]
    every = as_split("scikit-learn digits", images, labels[order])
    rest, test = cut(every, len(every) - DIGITS_TEST, "test")
    train, val = hold_out(rest, config.held_out)
    return Dataset("scikit-learn digits", train, val, test, classes=10)


def load_arrays(config: DataConfig) -> Dataset:
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
    shapes = {p: tuple(split.images.shape[1:]) for p, split in splits.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path}: images differ in shape (channels, side, side): {shapes}; expected the same in all")
    classes = 1 + max(int(split.labels.max()) for split in splits.values())
    if classes < 2:
        raise DataError(f"{path}: all labels are 0; expected at least two classes")
    held_out = 0 if "val" in splits else config.held_out
    check_classes(path, splits["train"].labels.numpy(), classes, held_out)
    if held_out:
        splits["train"], splits["val"] = hold_out(splits["train"], held_out)
    return Dataset(path.name, splits["train"], splits["val"], splits["test"], classes)


def _read_npz(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        return read_npz(path, compressed=True)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; give data.file= the path of an .npz") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path} as an .npz of plain arrays: {one_line(error)}") from error
