"""CIFAR-10 and its relatives in their published layouts, complete, incomplete and wrong."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from datagen.config import DataConfig, parse_command_line
from datagen.images import cifar
from datagen.images.corruptions import evaluate_corruptions
from datagen.images.datasets import load_dataset
from datagen.images.splits import Split, as_split
from datagen.planning.workload import Images, images_of_config, images_of_store
from datagen.store.folder import EntryStore
from nasbench_ar import ConfigError, DataError
from nasbench_ar.metrics import CORRUPTIONS
from tests.datagen.conftest import TINY, Command

TRAIN, TEST, V6 = 50, 10, 20


def write_batches(
    root: Path, reader: type[CIFAR10], files: dict[str, int], key: str, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of torchvision's `reader`, each of so many images, whose digests it then knows."""
    rng = np.random.default_rng(0)
    batches = root / reader.base_folder
    batches.mkdir(parents=True)
    lists: dict[str, list[list[str]]] = {"train_list": [], "test_list": []}
    for name, n in files.items():
        pixels = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
        labels = rng.permutation(np.arange(n) % classes).tolist()
        content = pickle.dumps({"data": pixels, key: labels, "coarse_labels": [0] * n})
        (batches / name).write_bytes(content)
        kind = "test_list" if name.startswith("test") else "train_list"
        lists[kind].append([name, hashlib.md5(content, usedforsecurity=False).hexdigest()])
    meta = pickle.dumps({reader.meta["key"]: [f"class {number}" for number in range(classes)]})
    (batches / reader.meta["filename"]).write_bytes(meta)
    for kind, listed in lists.items():
        monkeypatch.setattr(reader, kind, listed)
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": hashlib.md5(meta, usedforsecurity=False).hexdigest()})
    monkeypatch.setattr(cifar, "COUNTS", {"train": TRAIN, "test": TEST})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder like the published one, with a thousandth of the images, which torchvision accepts."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    files = {**{f"data_batch_{k}": TRAIN // 5 for k in range(1, 6)}, "test_batch": TEST}
    write_batches(root, CIFAR10, files, "labels", 10, monkeypatch)
    monkeypatch.setattr(cifar, "CIFAR101_COUNT", V6)
    np.save(root / "cifar10.1_v6_data.npy", rng.integers(0, 256, (V6, 32, 32, 3), dtype=np.uint8))
    np.save(root / "cifar10.1_v6_labels.npy", rng.integers(0, 10, V6).astype(np.int32))
    corrupted = root / "CIFAR-10-C"
    corrupted.mkdir()
    for name in CORRUPTIONS:
        np.save(corrupted / f"{name}.npy", rng.integers(0, 256, (5 * TEST, 32, 32, 3), dtype=np.uint8))
    labels = np.array(CIFAR10(str(root), train=False).targets, dtype=np.uint8)
    np.save(corrupted / "labels.npy", np.tile(labels, 5))
    return root


def config(folder: Path, **changes: object) -> DataConfig:
    return DataConfig(**{"folder": str(folder), **changes})  # type: ignore[arg-type]


def test_everything_is_read(folder: Path) -> None:
    dataset = load_dataset(config(folder))
    assert [len(dataset.train), len(dataset.val), len(dataset.test)] == [TRAIN, V6, TEST]
    assert (dataset.name, dataset.val.name, dataset.classes) == ("CIFAR-10", "CIFAR-10.1 v6", 10)
    assert (dataset.image_size, dataset.image_channels) == (32, 3)
    source = CIFAR10(str(folder), train=False)
    np.testing.assert_array_equal(dataset.test.images.numpy(), source.data.transpose(0, 3, 1, 2))
    assert dataset.test.labels.tolist() == source.targets
    assert dataset.corruptions is not None
    facts = dataset.describe()
    assert set(facts["corruptions"]["sha256"]) == set(CORRUPTIONS)


def test_cells_are_severities_in_order(folder: Path) -> None:
    files = load_dataset(config(folder)).corruptions
    assert files is not None
    fog = np.load(folder / "CIFAR-10-C/fog.npy")
    for severity in range(1, 6):
        wanted = fog[(severity - 1) * TEST : severity * TEST].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(files.cell("fog", severity).numpy(), wanted)
    acc, loss = evaluate_corruptions(files, lambda images: (float(images.double().mean()), 1.0))
    assert acc.shape == loss.shape == (19, 5)
    row = CORRUPTIONS.index("fog")
    assert acc[row, 2] == pytest.approx(fog[2 * TEST : 3 * TEST].mean())
    assert (loss == 1).all()


def test_a_subfolder_for_cifar101_is_fine(folder: Path) -> None:
    (folder / "CIFAR-10.1").mkdir()
    for kind in ("data", "labels"):
        (folder / f"cifar10.1_v6_{kind}.npy").rename(folder / f"CIFAR-10.1/cifar10.1_v6_{kind}.npy")
    assert len(load_dataset(config(folder)).val) == V6


def test_held_out_and_without_corruptions(folder: Path) -> None:
    (folder / "cifar10.1_v6_data.npy").unlink()
    dataset = load_dataset(config(folder, validation="held_out", held_out=12, corruptions=None))
    assert [len(dataset.train), len(dataset.val)] == [TRAIN - 12, 12]
    assert "held out 38..49" in dataset.val.name
    assert dataset.corruptions is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar-10-batches-py/data_batch_3", "no intact CIFAR-10 in .*; unpack https://www.cs.toronto.edu.*download"),
        ("cifar10.1_v6_data.npy", "there is no .*cifar10.1_v6_data.npy; get it from .*CIFAR-10.1.*held_out"),
        ("cifar10.1_v6_labels.npy", "there is no .*cifar10.1_v6_labels.npy; get it from"),
        ("CIFAR-10-C/fog.npy", "CIFAR-10-C lacks fog.npy; unpack https://zenodo.org.*or data.corruptions=null"),
        ("CIFAR-10-C/labels.npy", "lacks labels.npy"),
    ],
)
def test_missing_files_say_where_to_get_them(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(config(folder))
    assert "\n" not in str(caught.value)


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no intact CIFAR-10"):
        load_dataset(config(tmp_path / "nowhere"))


def test_many_missing_files_are_counted(folder: Path) -> None:
    for name in CORRUPTIONS[:7]:
        (folder / f"CIFAR-10-C/{name}.npy").unlink()
    with pytest.raises(DataError, match="lacks brightness.npy, contrast.npy.* and 3 more"):
        load_dataset(config(folder))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "cifar10.1_v6_data",
            np.zeros((V6 - 1, 32, 32, 3), np.uint8),
            r"holds uint8 \(19, 32.*expected uint8 \(20, 32",
        ),
        ("cifar10.1_v6_data", np.zeros((V6, 32, 32, 3), np.float32), "holds float32"),
        ("cifar10.1_v6_labels", np.zeros(V6), "holds float64 .*expected integers"),
        ("cifar10.1_v6_labels", np.zeros(V6 + 1, int), r"holds int64 \(21,\); expected integers \(20,\)"),
        ("cifar10.1_v6_labels", np.full(V6, 10), "v6_labels.npy has labels up to 10; expected 0 to 9: get it from"),
        ("CIFAR-10-C/snow", np.zeros((4 * TEST, 32, 32, 3), np.uint8), r"snow.npy holds uint8 \(40,"),
        ("CIFAR-10-C/labels", np.zeros(5 * TEST, np.uint8), "does not repeat the labels of CIFAR-10 test"),
        ("CIFAR-10-C/labels", np.zeros(4 * TEST, np.uint8), r"expected integers \(50,\)"),
    ],
)
def test_wrong_files_are_refused(folder: Path, name: str, array: np.ndarray, message: str) -> None:
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(DataError, match=message):
        load_dataset(config(folder))


@pytest.mark.parametrize("content", [b"", b"no array", pickle.dumps([1, 2])])
def test_damaged_files_are_refused(folder: Path, content: bytes) -> None:
    (folder / "cifar10.1_v6_data.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*cifar10.1_v6_data.npy: .*; get it again from"):
        load_dataset(config(folder))


def test_wrong_counts_of_cifar10_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "COUNTS", {"train": 50_000, "test": 10_000})
    with pytest.raises(DataError, match=r"holds uint8 \(50, 32, 32, 3\); expected uint8 \(50000, 32, 32, 3\)"):
        load_dataset(config(folder))


def test_cifar10_takes_no_validation_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="the source cifar10 has cifar10.1 or held_out only"):
        load_dataset(config(folder, validation="file"))


@pytest.fixture
def folder100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_batches(tmp_path / "data", CIFAR100, {"train": TRAIN, "test": TEST}, "fine_labels", 100, monkeypatch)
    return tmp_path / "data"


def test_cifar100_has_fine_labels_and_holds_out_its_last_images(folder100: Path) -> None:
    wanted = config(folder100, source="cifar100", validation="held_out", held_out=12, corruptions=None)
    dataset = load_dataset(wanted)
    assert (dataset.name, dataset.classes, dataset.val.name) == ("CIFAR-100", 100, "CIFAR-100 train, held out 38..49")
    source = CIFAR100(str(folder100), train=True)
    np.testing.assert_array_equal(dataset.train.images.numpy(), source.data[:38].transpose(0, 3, 1, 2))
    assert dataset.train.labels.tolist() + dataset.val.labels.tolist() == source.targets
    assert max(source.targets) == 49
    (folder100 / "cifar-100-python/train").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"no intact CIFAR-100 in .*cifar-100-python.tar.gz there .*data.download=true"):
        load_dataset(wanted)


def test_cifar100_has_no_second_test_set_and_other_corruptions(folder100: Path) -> None:
    with pytest.raises(ConfigError, match="data.validation=cifar10.1: the source cifar100 has held_out only"):
        load_dataset(config(folder100, source="cifar100"))
    with pytest.raises(DataError, match=r"CIFAR-100-C lacks .*unpack https://zenodo.org/records/3555552"):
        load_dataset(
            config(folder100, source="cifar100", validation="held_out", held_out=12, corruptions="CIFAR-100-C")
        )


def test_a_training_on_cifar100(folder100: Path, command: Command, tmp_path: Path) -> None:
    words = [word for word in TINY if not word.startswith("profile=")]
    words = [*words, "profile=cifar100", f"data.folder={folder100}", "data.held_out=12", "train.epochs=1"]
    store = tmp_path / "store"
    code, out, _ = command("archs=1-1-1-1", *words, f"store={store}")
    assert (code, "1 of 1 trainings have an entry" in out) == (0, True)
    found = images_of_store(EntryStore(store).manifest())
    assert found == Images(38, 12, TEST, 0, 32, 3, 100)
    planned = images_of_config(parse_command_line(["archs=all", *words]).data)
    assert planned == Images(49_988, 12, 10_000, 0, 32, 3, 100)


def test_gray_corruptions_of_ones_own(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    test: Split = as_split("own", images, np.arange(6) % 2)
    for name in CORRUPTIONS:
        np.save(tmp_path / f"{name}.npy", np.concatenate([images] * 5))
    np.save(tmp_path / "labels.npy", np.tile(np.arange(6) % 2, 5))
    files = cifar.find_corruptions(DataConfig(corruptions=str(tmp_path)), test)
    np.testing.assert_array_equal(files.cell("fog", 5).numpy()[:, 0], images)
