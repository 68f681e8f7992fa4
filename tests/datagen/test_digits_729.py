"""The embedded table `digits-729` against the entries it was built from."""

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import nasbench_ar
from datagen.store.entry import Entry
from datagen.store.folder import EntryStore
from nasbench_ar.masks import load_masks
from nasbench_ar.metrics import CURVES
from tests.processes import ROOT

ARCHIVE = ROOT / "sources/digits-729.tar.xz"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    folder = tmp_path_factory.mktemp("store")
    with tarfile.open(ARCHIVE) as pack:
        pack.extractall(folder, filter="data")
    return EntryStore(folder).entries()


def test_every_value_is_an_entrys(entries: list[Entry]) -> None:
    oracle = nasbench_ar.load("digits-729", quiet=True)
    table = oracle.table
    table.verify()
    masks = load_masks(table.folder)
    rows = {
        (int(index), int(seed)): row
        for row, (index, seed) in enumerate(zip(table.arch_index, table.seeds, strict=True))
    }
    assert len(entries) == len(rows)
    for entry in entries:
        row = rows[int(table.space.index(entry.architecture)), entry.seed]
        for name, value in entry.test.items():
            assert table.scalar(name)[row] == value, name
        for name in CURVES:
            factor = -100 if name == "val_cw_loss" else 1  # the entries, of protocol version 1, have mean margins
            np.testing.assert_array_equal(table.curve(name)[row], factor * np.array(entry.curves[name]))
        for attack, mask in entry.masks.items():
            np.testing.assert_array_equal(masks.standing(attack)[row], mask)


def test_it_says_that_it_is_partial(entries: list[Entry]) -> None:
    known = len({entry.architecture for entry in entries})
    notes = nasbench_ar.load("digits-729", quiet=True).table.meta["notes"]
    partial = f"Partial: {known} of the 729 architectures of the space have been trained."
    assert (partial in notes) == (known < 729)
    assert sum(entry.seed == 1 for entry in entries) >= 73  # for the noise of seeds


@pytest.mark.parametrize("table", ["digits-729", str(ROOT / "examples/transfer/digits-729-trades")])
def test_the_archive_builds_the_very_table(table: str, tmp_path: Path) -> None:
    shipped = nasbench_ar.load(table, quiet=True).table
    command = [sys.executable, str(ROOT / "scripts/build_digits.py"), shipped.name, "--folder", str(tmp_path / "built")]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    built = nasbench_ar.open_table(tmp_path / "built")
    assert built.content_hash == shipped.content_hash
    assert built.meta == shipped.meta
