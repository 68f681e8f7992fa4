"""Digits and arrays: what is read, how it is cut, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from datagen.config import DataConfig
from datagen.images.datasets import load_dataset
from datagen.planning.workload import images_of_config
from nasbench_ar import ConfigError, DataError
from tests.datagen.conftest import stripes, write_arrays


def arrays_config(path: Path, **changes: object) -> DataConfig:
    return DataConfig(**{"source": "arrays", "file": str(path), "validation": "file", "corruptions": None, **changes})  # type: ignore[arg-type]


def digits_config(**changes: object) -> DataConfig:
    return DataConfig(**{"source": "digits", "validation": "held_out", "held_out": 200, "corruptions": None, **changes})  # type: ignore[arg-type]


def test_digits() -> None:
    dataset = load_dataset(digits_config())
    assert [len(dataset.train), len(dataset.val), len(dataset.test)] == [1397, 200, 200]
    assert (dataset.image_size, dataset.image_channels, dataset.classes) == (8, 1, 10)
    assert dataset.train.images.dtype == torch.uint8
    assert (dataset.train.images.min(), dataset.train.images.max()) == (0, 255)
    assert dataset.train.labels.dtype == torch.int64
    every = torch.cat([split.images for split in (dataset.train, dataset.val, dataset.test)])
    assert len(every) == 1797
    assert torch.bincount(dataset.test.labels).min() >= 10, "classes are mixed"
    assert dataset.describe() == load_dataset(digits_config()).describe(), "shuffled the same way every time"


def test_held_out_images_are_said_to_be_so() -> None:
    facts = load_dataset(digits_config()).describe()
    assert "held out 1397..1596" in facts["val"]["from"]
    assert facts["train"]["images"] == 1397
    assert facts["corruptions"] is None
    assert len({facts[purpose]["sha256"] for purpose in ("train", "val", "test")}) == 3


def test_arrays(arrays: Path) -> None:
    dataset = load_dataset(arrays_config(arrays))
    assert [len(dataset.train), len(dataset.val), len(dataset.test)] == [128, 40, 48]
    assert (dataset.image_size, dataset.image_channels, dataset.classes, dataset.name) == (8, 3, 4, "stripes.npz")
    images, labels = stripes(48, 2)
    np.testing.assert_array_equal(dataset.test.images.numpy(), images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(dataset.test.labels.numpy(), labels)


def test_the_hash_tells_pixels_and_labels(tmp_path: Path) -> None:
    images, labels = stripes(40, 1)
    changed_image, changed_label = images.copy(), labels.copy()
    changed_image[3, 2, 1, 0] ^= 1
    changed_label[3] = (changed_label[3] + 1) % 4
    hashes = [
        load_dataset(arrays_config(write_arrays(tmp_path / "a.npz", **change))).val.sha256()
        for change in ({}, {"val_images": changed_image}, {"val_labels": changed_label})
    ]
    assert len(set(hashes)) == 3


def test_gray_images_may_lack_the_last_axis(tmp_path: Path) -> None:
    changes = {f"{p}_images": np.zeros((n, 8, 8), np.uint8) for p, n in (("train", 128), ("val", 40), ("test", 48))}
    dataset = load_dataset(arrays_config(write_arrays(tmp_path / "gray.npz", **changes)))
    assert dataset.train.images.shape == (128, 1, 8, 8)


def test_arrays_may_hold_out_validation(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "two.npz", val_images=None, val_labels=None)
    with pytest.raises(DataError, match="lacks val_images, val_labels; .*or data.validation=held_out"):
        load_dataset(arrays_config(path))
    dataset = load_dataset(arrays_config(path, validation="held_out", held_out=28))
    assert [len(dataset.train), len(dataset.val)] == [100, 28]
    images, _ = stripes(128, 0)
    np.testing.assert_array_equal(dataset.val.images.numpy(), images[100:].transpose(0, 3, 1, 2))


def test_a_held_out_part_has_every_class(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "sorted.npz", train_labels=np.arange(128) // 32)
    assert len(load_dataset(arrays_config(path)).val) == 40
    message = (
        "data.held_out=40: {} would have no image of class {}; shuffle the file, or give val_images and val_labels"
    )
    for read in (load_dataset, images_of_config):
        with pytest.raises(DataError, match=message.format("validation", "0, 1")):
            read(arrays_config(path, validation="held_out", held_out=40))
    rows = np.arange(128)
    path = write_arrays(tmp_path / "late.npz", train_labels=np.where(rows < 88, rows % 3, rows % 4))
    with pytest.raises(DataError, match=message.format("training", "3")):
        load_dataset(arrays_config(path, validation="held_out", held_out=40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": 1 + np.arange(128) % 4}, "no training image is of class 0; number the classes from 0"),
        ({"test_labels": np.arange(48)}, r"no training image is of class 4, 5, 6, 7, 8 and 39 more; number"),
        ({"test_labels": None}, "lacks test_labels; it has train_images"),
        ({"val_images": np.zeros((40, 8, 8, 3))}, "val_images is float64 .*expected uint8"),
        ({"val_images": np.zeros((40, 8, 9, 3), np.uint8)}, r"val_images is uint8 \(40, 8, 9, 3\); expected"),
        ({"val_images": np.zeros((40, 8, 8, 2), np.uint8)}, "1 or 3 channels"),
        ({"val_images": np.zeros((0, 8, 8, 3), np.uint8), "val_labels": np.zeros(0, int)}, "val_images is uint8"),
        ({"val_labels": np.zeros(39, int)}, r"val_labels is int64 \(39,\); expected \(40,\) whole numbers"),
        ({"val_labels": np.zeros(40)}, "val_labels is float64"),
        ({"val_labels": np.full(40, -1)}, "whole numbers from 0"),
        ({"val_labels": np.full(40, 2**63, np.uint64)}, "val_labels go up to 9223372036854775808; expected"),
        ({"val_labels": np.full(40, 10_000)}, "below 10000"),
        ({"val_images": np.zeros((40, 6, 6, 3), np.uint8)}, "images differ in shape"),
        ({f"{p}_labels": np.zeros(n, int) for p, n in (("train", 128), ("val", 40), ("test", 48))}, "all labels are 0"),
        ({"val_images": np.array([object()])}, "cannot read .* as an .npz of plain arrays"),
    ],
)
def test_wrong_arrays(tmp_path: Path, changes: dict[str, np.ndarray | None], message: str) -> None:
    path = write_arrays(tmp_path / "wrong.npz", **changes)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(arrays_config(path))
    assert "\n" not in str(caught.value)


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*none.npz; give data.file="):
        load_dataset(arrays_config(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "array.npy", np.zeros(3))
    whole = write_arrays(tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("text.npz", "array.npy", "cut.npz"):
        with pytest.raises(DataError, match=f"cannot read .*{name} as an .npz"):
            load_dataset(arrays_config(tmp_path / name))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (digits_config(validation="file"), "data.validation=file: the source digits has held_out only"),
        (digits_config(validation="cifar10.1"), "data.validation=cifar10.1: the source digits"),
        (digits_config(held_out=1597), "data.held_out=1597: there are 1597 training images; hold out fewer"),
        (arrays_config(Path("x"), validation="cifar10.1"), "the source arrays has file or held_out only"),
    ],
)
def test_wrong_settings(config: DataConfig, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        load_dataset(config)
