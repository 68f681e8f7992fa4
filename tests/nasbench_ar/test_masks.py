"""Bit masks beside a table."""

from pathlib import Path

import numpy as np
import pytest

from nasbench_ar import MetricError, Table, TableError
from nasbench_ar.masks import FILE, Masks, load_masks
from tests.nasbench_ar.conftest import TOY, partial_of_a_dead_process, table_of

# Two networks, eleven images; bits from the left, the second byte filled with zeros.
BITS = np.array([[0b10110000, 0b01100000], [0b11111111, 0b11100000]], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return table_of(tmp_path / "toy", *((TOY.from_index(k), {"seed": k + 5}) for k in (2, 1))).folder


def masks(**changes: object) -> Masks:
    facts: dict[str, object] = {
        "arch_index": np.array([2, 1], dtype=np.int32),
        "seeds": np.array([7, 6]),
        "images": 11,
        "bits": {"clean": BITS, "apgd-t": BITS & 0b10000000},
    }
    return Masks(**{**facts, **changes})  # type: ignore[arg-type]


def test_bits_by_hand(folder: Path) -> None:
    masks().save(folder)
    found = load_masks(folder)
    assert (found.attacks, found.images) == (("clean", "apgd-t"), 11)
    assert np.flatnonzero(found.standing("clean")[0]).tolist() == [0, 2, 3, 9, 10]
    assert found.standing("clean").sum(axis=1).tolist() == [5, 11]
    assert found.standing("clean", rows=1).tolist() == [True] * 11
    assert found.standing("apgd-t", rows=[0, 1]).sum() == 3
    assert load_masks(Table(folder)).seeds.tolist() == [7, 6]
    with pytest.raises(MetricError, match="no masks of 'pgd'; there are clean, apgd-t"):
        found.standing("pgd")


@pytest.mark.parametrize("images", [9, 15, 16])
def test_the_last_byte_counts_as_far_as_there_are_images(images: int, folder: Path) -> None:
    standing = np.ones((2, images), dtype=bool)
    masks(images=images, bits={"clean": np.packbits(standing, axis=1)}).save(folder)
    np.testing.assert_array_equal(load_masks(folder).standing("clean"), standing)


OTHER_ROWS = "is not of the rows of this table; export the table again with masks=true"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch_index": np.array([1, 2], dtype=np.int32)}, OTHER_ROWS),
        ({"seeds": np.array([7, 7])}, OTHER_ROWS),
        ({"images": 30}, OTHER_ROWS),
        ({"images": -11}, OTHER_ROWS),
        ({"images": 0, "bits": {"clean": BITS[:, :0]}}, OTHER_ROWS),
        ({"images": 0, "bits": {}}, OTHER_ROWS),
        ({"bits": {"clean": BITS[:1]}}, OTHER_ROWS),
        ({"bits": {"clean": BITS, "pgd": BITS[:, :1]}}, OTHER_ROWS),
        ({"bits": {"clean": BITS.astype(np.int64)}}, OTHER_ROWS),
        ({"images": 10}, "bits beyond its 10 images"),
        ({"images": 9, "bits": {"clean": BITS}}, "bits beyond its 9 images"),
        ({"images": [11]}, "no whole array 'images'"),
        ({"arch_index": np.array([2.0, 1.0])}, "no whole array 'arch_index'"),
        ({"seeds": np.array([[7, 6]])}, "no whole array 'seed'"),
        ({"seeds": np.array(["7", "6"])}, "no whole array 'seed'"),
    ],
)
def test_masks_of_other_rows_or_impossible_ones(changes: dict[str, object], message: str, folder: Path) -> None:
    masks(**changes).save(folder)
    with pytest.raises(TableError, match=message):
        load_masks(folder)


def test_missing_and_damaged_files(folder: Path) -> None:
    with pytest.raises(TableError, match=r"has no masks\.npz"):
        load_masks(folder)
    masks().save(folder)
    content = (folder / FILE).read_bytes()
    for damaged in (b"", b"PK", content[:200], content.replace(b"arch_index", b"arch_other"), b"\x93NUMPY"):
        (folder / FILE).write_bytes(damaged)
        with pytest.raises(TableError, match="is damaged"):
            load_masks(folder)


def test_compressed_masks_are_refused(folder: Path) -> None:
    np.savez_compressed(folder / FILE, bits=np.zeros(10**6))
    with pytest.raises(TableError, match=r"is damaged \('bits\.npy' is compressed\)"):
        load_masks(folder)


def test_a_place_that_cannot_be_written(folder: Path) -> None:
    with pytest.raises(TableError, match=r"cannot write .*masks\.npz"):
        masks().save(folder / "meta.json")


def test_what_a_killed_process_left_goes_with_the_next_one(folder: Path) -> None:
    partial_of_a_dead_process(folder / FILE).touch()
    masks().save(folder)
    assert list(folder.glob(".*")) == []


def test_the_table_does_not_mind(folder: Path) -> None:
    before = Table(folder).content_hash
    masks().save(folder)
    Table(folder).verify()
    assert Table(folder).content_hash == before
