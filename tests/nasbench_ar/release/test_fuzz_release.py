"""Damaged files in the format of the authors' release, in every packing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from nasbench_ar import METRICS, Oracle, Table, TableError
from nasbench_ar.release.archive import ReleaseFile
from nasbench_ar.release.importer import import_release
from nasbench_ar.release.writer import write_release
from tests.fuzzing import Damages, Reader, byte_damage, document_damage, to_json
from tests.nasbench_ar.conftest import TOY
from tests.nasbench_ar.release.synthetic_release import PACKINGS, as_lines, make_record, write_packed

RECORDS = Reader("release: values of a JSON line", TableError)
LINES = Reader("release: bytes of JSON lines", TableError)
PACKED = Reader("release: bytes of packed files", TableError)
EPOCHS = 3

RECORD = make_record(TOY.from_index(5), seeds=(0, 1), epochs=EPOCHS, space=TOY)
FEW_CELLS = dict(list(RECORD["test_best"][0]["corruptions"].items())[:2])
for test in RECORD["test_best"]:
    test["corruptions"] = FEW_CELLS  # otherwise nearly all damage would be to cells
TEXT = b"".join(as_lines([RECORD, make_record(TOY.from_index(2), epochs=EPOCHS, space=TOY)]))


def bring(path: Path, folder: Path) -> Table:
    return import_release(path, folder=folder, name="fuzz", replace=True, progress=False, space=TOY)


def is_sound(table: Table) -> None:
    """Complete, plausible, and the same again after an export and another import."""
    table.verify()
    oracle = Oracle(table)
    for row in range(table.rows):
        architecture = TOY.from_index(int(table.arch_index[row]))
        training = next(t for t in oracle.record(architecture)["trainings"] if t["seed"] == table.seeds[row])
        best = int(training["best_epoch"])
        for name, curve in training["curves"].items():
            assert training[name] == curve[best]
        if table.corruption_kinds:
            cells = [c["acc"] for by in training.get("corruptions", {}).values() for c in by.values() if "acc" in c]
            assert ("test_corrupt_acc" in training) == (len(cells) == 95)
    for name in table.scalar_names:
        assert not METRICS[name].impossible(table.scalar(name)).any()
    again = table.folder.with_name("again")
    write_release(table, again.with_suffix(".jsonl"))
    copy = bring(again.with_suffix(".jsonl"), again)
    order, other = (np.lexsort((t.seeds, t.arch_index)) for t in (table, copy))
    np.testing.assert_array_equal(table.arch_index[order], copy.arch_index[other])
    np.testing.assert_array_equal(table.seeds[order], copy.seeds[other])
    assert table.scalar_names == copy.scalar_names
    for name in table.scalar_names:
        np.testing.assert_array_equal(table.scalar(name)[order], copy.scalar(name)[other])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("release")


@RECORDS.fuzz(change=document_damage(values=st.sampled_from([100, 100.01, 2, {"acc": 50.0}, {"1": {"acc": 1}}])))
def test_any_values_of_a_line(place: Path, change: Damages) -> None:
    (place / "cifar10.jsonl").write_bytes(to_json(change(RECORD)).replace(b"\n", b"") + b"\n")
    RECORDS.check(lambda: bring(place / "cifar10.jsonl", place / "table"), is_sound, names=place)


@LINES.fuzz(change=byte_damage())
def test_any_bytes_of_lines(place: Path, change: Damages) -> None:
    (place / "cifar10.jsonl").write_bytes(change(TEXT))
    LINES.check(lambda: bring(place / "cifar10.jsonl", place / "table"), is_sound, names=place)


@pytest.fixture(scope="module")
def packed(place: Path) -> Callable[[str], bytes]:
    contents = {packing: write_packed(place / "whole", TEXT, packing).read_bytes() for packing in PACKINGS}
    return contents.__getitem__


@PACKED.fuzz(packing=st.sampled_from(PACKINGS[1:]), change=byte_damage(most=2))
def test_any_bytes_of_packed_files(place: Path, packed: Any, packing: str, change: Damages) -> None:
    path = place / "nares.txz"
    damaged = change(packed(packing))
    path.write_bytes(damaged)

    def read() -> list[bytes]:
        return [line for _, line in ReleaseFile(path, progress=False).lines()]

    def holds(lines: list[bytes]) -> None:
        if damaged.startswith((b"\x1f\x8b", b"\xfd7zXZ\x00")):  # these have checksums of the content
            assert b"".join(lines) == TEXT

    PACKED.check(read, holds, names=place)


def test_the_whole_files_are_read(place: Path, packed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    for content in map(packed, PACKINGS):
        (place / "nares").write_bytes(content)
        table = bring(place / "nares", place / "table")
        is_sound(table)
        assert table.rows == 3
        assert json.loads(TEXT.splitlines()[0]) == RECORD
