"""Damaged images and labels: arrays of the user's own, CIFAR-10 and its relatives."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from datagen.config import DataConfig
from datagen.images import cifar
from datagen.images.datasets import load_arrays
from datagen.images.splits import Dataset, Split
from datagen.planning.workload import Images, images_of_config
from nasbench_ar import DataError
from nasbench_ar.metrics import CORRUPTIONS
from tests.datagen.conftest import stripes
from tests.fuzzing import ArrayDamage, Damages, Files, Reader, array_damage, byte_damage

ARRAYS_BYTES = Reader("datagen: data.file=, bytes", DataError)
ARRAYS = Reader("datagen: data.file=, other arrays", DataError)
PLANNED = Reader("datagen: data.file=, as a plan reads it", DataError)
VALIDATION = Reader("datagen: CIFAR-10.1", DataError)
CORRUPTED = Reader("datagen: CIFAR-10-C", DataError)
TRAINING = Reader("datagen: CIFAR-10, batches", DataError, both=False, cases=50)

SIZES = {"train": 12, "val": 3, "test": 4}
NAMES = [f"{purpose}_{kind}" for purpose in SIZES for kind in ("images", "labels")]


def small_arrays() -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for seed, (purpose, n) in enumerate(SIZES.items()):
        found[f"{purpose}_images"], found[f"{purpose}_labels"] = stripes(n, seed, side=4)
    return found


def packed(arrays: dict[str, np.ndarray], *, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("fuzz")
    for name, compressed in (("plain.npz", False), ("packed.npz", True)):
        (folder / name).write_bytes(packed(small_arrays(), compressed=compressed))
    return Files(folder, "plain.npz", "packed.npz")


def config(path: Path, validation: str = "file") -> DataConfig:
    return DataConfig(source="arrays", file=str(path), validation=validation, held_out=5)


def split_is_sound(split: Split) -> None:
    assert split.images.dtype == torch.uint8
    assert split.images.ndim == 4
    assert split.images.shape[1] in (1, 3)
    assert split.images.shape[2] == split.images.shape[3]
    assert split.labels.dtype == torch.int64
    assert len(split) == len(split.images) > 0
    assert int(split.labels.min()) >= 0
    assert len(split.sha256()) == 64


def dataset_is_sound(dataset: Dataset) -> None:
    splits = (dataset.train, dataset.val, dataset.test)
    for split in splits:
        split_is_sound(split)
        assert int(split.labels.max()) < dataset.classes <= 10_000
    assert len({split.images.shape[1:] for split in splits}) == 1
    assert dataset.classes > 1
    dataset.describe()


_VALIDATION = st.sampled_from(["file", "file", "held_out"])


@ARRAYS_BYTES.fuzz(change=byte_damage(), name=st.sampled_from(["plain.npz", "packed.npz"]), validation=_VALIDATION)
def test_damaged_arrays(files: Files, change: Damages, name: str, validation: str) -> None:
    files.write({name: change(files[name])})
    path = files.folder / name

    def is_whole(dataset: Dataset) -> None:
        dataset_is_sound(dataset)
        if validation == "file":
            arrays = small_arrays()
            for purpose in SIZES:
                split: Split = getattr(dataset, purpose)
                assert np.array_equal(split.images.numpy().transpose(0, 2, 3, 1), arrays[f"{purpose}_images"])
                assert np.array_equal(split.labels.numpy(), arrays[f"{purpose}_labels"])

    ARRAYS_BYTES.check(lambda: load_arrays(config(path, validation)), is_whole, names=path)


def with_damage(changes: dict[str, ArrayDamage | None]) -> bytes:
    arrays = small_arrays()
    for name, change in changes.items():
        if change is None:
            del arrays[name]
        else:
            arrays[name] = change(arrays[name])
    return packed(arrays, compressed=False)


_CHANGES = st.dictionaries(st.sampled_from(NAMES), array_damage() | array_damage() | st.none(), min_size=1, max_size=2)


@ARRAYS.fuzz(changes=_CHANGES, validation=_VALIDATION)
def test_other_arrays(files: Files, changes: dict[str, ArrayDamage | None], validation: str) -> None:
    files.write({"plain.npz": with_damage(changes)})
    path = files.folder / "plain.npz"
    ARRAYS.check(lambda: load_arrays(config(path, validation)), dataset_is_sound, names=path)


@PLANNED.fuzz(changes=_CHANGES, change=st.none() | byte_damage(), validation=_VALIDATION)
def test_plans_for_damaged_arrays(
    files: Files, changes: dict[str, ArrayDamage | None], change: Damages | None, validation: str
) -> None:
    files.write({"plain.npz": with_damage(changes) if change is None else change(files["plain.npz"])})
    path = files.folder / "plain.npz"

    def holds(images: Images) -> None:
        assert min(images.train, images.val, images.test, images.side) >= 1
        assert images.channels in (1, 3)
        assert 2 <= images.classes <= 10_000

    PLANNED.check(lambda: images_of_config(config(path, validation)), holds)


# -- CIFAR-10 and its relatives ----------------------------------------------------

V6 = ("cifar10.1_v6_data.npy", "cifar10.1_v6_labels.npy")


def as_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def cifar101(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("fuzz")
    images, labels = stripes(3, 0, side=32)
    (folder / V6[0]).write_bytes(as_npy(images))
    (folder / V6[1]).write_bytes(as_npy(labels.astype(np.int32)))
    return Files(folder, *V6)


@VALIDATION.fuzz(change=byte_damage() | array_damage(), name=st.sampled_from(V6))
def test_damaged_cifar101(cifar101: Files, change: Damages | ArrayDamage, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar, "CIFAR101_COUNT", 3)
        whole = cifar101[name]
        damaged = as_npy(change(np.load(io.BytesIO(whole)))) if isinstance(change, ArrayDamage) else change(whole)
        cifar101.write({name: damaged})

        def holds(split: Split) -> None:
            split_is_sound(split)
            assert split.images.shape == (3, 3, 32, 32)

        VALIDATION.check(lambda: cifar.load_cifar101(cifar101.folder), holds, names=cifar101.folder)


C_FILES = (f"{CORRUPTIONS[0]}.npy", f"{CORRUPTIONS[-1]}.npy", "labels.npy")


@pytest.fixture(scope="module")
def cifar10c(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Split]:
    folder = tmp_path_factory.mktemp("fuzz")
    images, labels = stripes(2, 0, side=2)
    for name in CORRUPTIONS:
        (folder / f"{name}.npy").write_bytes(as_npy(np.tile(images, (5, 1, 1, 1))))
    (folder / "labels.npy").write_bytes(as_npy(np.tile(labels, 5)))
    test = Split("toy", torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels))
    return Files(folder, *C_FILES), test


@CORRUPTED.fuzz(change=byte_damage() | array_damage(), name=st.sampled_from(C_FILES))
def test_damaged_cifar10c(cifar10c: tuple[Files, Split], change: Damages | ArrayDamage, name: str) -> None:
    files, test = cifar10c
    whole = files[name]
    files.write(
        {name: as_npy(change(np.load(io.BytesIO(whole)))) if isinstance(change, ArrayDamage) else change(whole)}
    )

    def read() -> list[torch.Tensor]:
        found = cifar.find_corruptions(DataConfig(corruptions=str(files.folder)), test)
        return [found.cell(corruption, severity) for corruption in C_CHECKED for severity in (1, 5)]

    def holds(cells: list[torch.Tensor]) -> None:
        assert {tuple(cell.shape) for cell in cells} == {(2, 3, 2, 2)}
        assert {cell.dtype for cell in cells} == {torch.uint8}

    CORRUPTED.check(read, holds, names=files.folder)


C_CHECKED = (CORRUPTIONS[0], CORRUPTIONS[-1])
BATCHES = ("data_batch_1", "test_batch", "batches.meta")


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "cifar-10-batches-py").mkdir()
    content: Any = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}
    names = [f"cifar-10-batches-py/{name}" for name in BATCHES]
    for name in names:
        (folder / name).write_bytes(pickle.dumps(content))
    return Files(folder, *names)


class Making:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.path,)


@TRAINING.fuzz(change=st.none() | byte_damage(), name=st.sampled_from(BATCHES))
def test_batches_that_are_not_the_published_ones(batches: Files, change: Damages | None, name: str) -> None:
    """They are pickles: none is opened whose checksum is not the published one."""
    marker = batches.folder / "was-here"
    path = f"cifar-10-batches-py/{name}"
    batches.write({path: pickle.dumps(Making(marker)) if change is None else change(batches[path])})
    data = DataConfig(folder=str(batches.folder), validation="held_out", held_out=1)
    TRAINING.check(lambda: cifar.load_cifar(data), names=batches.folder)
    assert not TRAINING.read
    assert not marker.exists()
