"""Damaged table folders, down to what an oracle over them answers."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from nasbench_ar import METRICS, MetricError, MissingEntryError, Oracle, Table, TableError, open_table
from nasbench_ar.masks import FILE as MASKS
from nasbench_ar.masks import Masks, load_masks
from tests.fuzzing import ArrayDamage, Damages, Files, Reader, array_damage, byte_damage, document_damage, to_json
from tests.nasbench_ar.conftest import TOY, toy_cells, toy_curves, toy_writer

META_BYTES = Reader("tables: meta.json, bytes", TableError)
META = Reader("tables: meta.json, values", TableError)
ARRAYS = Reader("tables: .npy files, bytes", TableError, both=False)  # the hash leaves next to nothing unseen
SIGNED = Reader("tables: .npy files, bytes, with the right hash", TableError)
NUMBERS = Reader("tables: .npy files, other arrays, with the right hash", TableError)
MASKS_BYTES = Reader("tables: masks.npz, bytes", TableError)
MASKS_ARRAYS = Reader("tables: masks.npz, other arrays", TableError)

FILES = (
    "arch_index.npy",
    "seed.npy",
    "scalars/val_pgd_acc.npy",
    "scalars/best_epoch.npy",
    "scalars/training_time_gpu_days.npy",
    "curves/val_cw_acc.npy",
    "corruptions/acc.npy",
    "flags/odd.npy",
    "labels/gpu_type.npy",
)
IMAGES = 11


def write_small(folder: Path) -> Table:
    """One column of each kind: the fewer files, the more cases."""
    with toy_writer(folder) as writer:
        for index, seed in ((0, 3), (0, 0), (2, 0), (7, 0), (15, 0)):
            best = int((cw := toy_curves(index, seed)["val_cw_acc"]).argmax())
            writer.add(
                TOY.from_index(index),
                seed=seed,
                scalars={"val_pgd_acc": 40.0 + index, "best_epoch": best}
                | ({"training_time_gpu_days": 1.5} if index else {}),
                curves={"val_cw_acc": cw},
                corruption_acc=toy_cells(index, seed),
                flags={"odd": index % 2 == 1},
                labels={"gpu_type": f"gpu{index}"},
            )
    return Table(folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    table = write_small(tmp_path_factory.mktemp("fuzz") / "toy")
    bits = np.random.default_rng(0).random((table.rows, IMAGES)) < 0.5
    packed = {"clean": np.packbits(bits, axis=1), "pgd": np.packbits(bits[::-1], axis=1)}
    Masks(np.array(table.arch_index), np.array(table.seeds), IMAGES, packed).save(table.folder)
    return Files(table.folder, "meta.json", MASKS, *FILES)


def opened(folder: Path) -> Table:
    """What a user does: open it, check it, ask all sorts of questions."""
    table = open_table(folder)
    table.verify()
    oracle = Oracle(table)
    first = oracle.space.from_index(int(table.arch_index[0]))
    record = oracle.record(first)
    assert record["trainings"]
    for name in ("val_pgd_acc", "best_epoch", "val_cw_acc", "training_time_gpu_days", "macs"):
        try:
            oracle.column(name)
            oracle.query(first, name)
            oracle.query(first, name, epoch=0, seed=int(table.seeds[0]))
            oracle.optimum(name)
            oracle.label(name)
            oracle.curve(first, name)
        except (MetricError, MissingEntryError) as error:  # as for any table that lacks something
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - each outcome is right
    return table


def is_sound(table: Table) -> None:
    space = table.space
    assert table.rows == len(table.arch_index) == len(table.seeds)
    assert all(space.has_index(index) for index in table.arch_index.tolist())
    for name in table.scalar_names:
        values = table.scalar(name)[~np.isnan(table.scalar(name))]
        assert np.isfinite(values).all()
        if METRICS[name].unit == "%":
            assert ((values >= 0) & (values <= 100)).all()
    for name in table.curve_names:
        assert table.curve(name).shape == (table.rows, table.epochs)
        if METRICS[name].unit == "%":
            assert not ((table.curve(name) < 0) | (table.curve(name) > 100)).any()
    json.dumps(table.meta, ensure_ascii=False).encode()


@META_BYTES.fuzz(change=byte_damage())
def test_any_bytes_for_meta(files: Files, change: Damages) -> None:
    files.write({"meta.json": change(files["meta.json"])})
    META_BYTES.check(lambda: opened(files.folder), is_sound, names=files.folder)


@META.fuzz(change=document_damage(values=st.sampled_from([*METRICS, "scalars/test_aa_acc.npy", "flags/x.npy"])))
def test_any_values_for_meta(files: Files, change: Damages) -> None:
    files.write({"meta.json": to_json(change(json.loads(files["meta.json"])))})
    META.check(lambda: opened(files.folder), is_sound, names=files.folder)


@ARRAYS.fuzz(file=st.sampled_from(FILES), change=byte_damage())
def test_any_bytes_for_an_array(files: Files, file: str, change: Damages) -> None:
    damaged = change(files[file])
    files.write({file: damaged})

    def holds(_: Table) -> None:
        assert damaged == files[file], "the damage went unnoticed"

    ARRAYS.check(lambda: opened(files.folder), holds, names=files.folder)


def write_with_hash(files: Files, file: str, content: bytes) -> None:
    meta = json.loads(files["meta.json"])
    meta["files"][file]["sha256"] = hashlib.sha256(content).hexdigest()
    files.write({file: content, "meta.json": json.dumps(meta).encode()})


@SIGNED.fuzz(file=st.sampled_from(FILES), change=byte_damage())
def test_any_bytes_for_an_array_with_its_hash(files: Files, file: str, change: Damages) -> None:
    write_with_hash(files, file, change(files[file]))
    SIGNED.check(lambda: opened(files.folder), is_sound, names=files.folder)


def as_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@NUMBERS.fuzz(file=st.sampled_from(FILES), change=array_damage())
def test_any_other_array_with_its_hash(files: Files, file: str, change: ArrayDamage) -> None:
    write_with_hash(files, file, as_npy(change(np.load(io.BytesIO(files[file])))))
    NUMBERS.check(lambda: opened(files.folder), is_sound, names=files.folder)


# -- masks -------------------------------------------------------------------------


def are_masks(masks: Masks) -> None:
    for attack in masks.attacks:
        standing = masks.standing(attack)
        assert standing.shape == (len(masks.seeds), masks.images)
        assert standing.dtype == bool
        np.testing.assert_array_equal(np.packbits(standing, axis=1), masks.bits[attack])


@MASKS_BYTES.fuzz(change=byte_damage())
def test_any_bytes_for_masks(files: Files, change: Damages) -> None:
    files.write({MASKS: change(files[MASKS])})
    MASKS_BYTES.check(lambda: load_masks(files.folder), are_masks, names=files.folder)


@MASKS_ARRAYS.fuzz(
    file=st.sampled_from(["arch_index", "seed", "images", "bits/clean", "none"]),
    change=array_damage(),
    images=st.sampled_from([IMAGES, IMAGES, 16, 9, 8, 0, -1, 2**62]),
    save=st.sampled_from([np.savez, np.savez, np.savez_compressed]),
)
def test_any_other_arrays_for_masks(files: Files, file: str, change: ArrayDamage, images: int, save: Any) -> None:
    with np.load(io.BytesIO(files[MASKS])) as pack:
        arrays = dict(pack)
    arrays["images"] = np.array(images)
    if file in arrays:
        arrays[file] = change(np.atleast_1d(arrays[file]))
    buffer = io.BytesIO()
    save(buffer, **arrays)
    files.write({MASKS: buffer.getvalue()})
    MASKS_ARRAYS.check(lambda: load_masks(files.folder), are_masks, names=files.folder)
