"""The command that prints what needs no search."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import baselines
from nasbench_ar import Oracle, Table
from tests.experiments.conftest import Command
from tests.files import rows_of


def test_baselines_of_a_table(table: Table, tmp_path: Path, command: Command) -> None:
    code, out, err = command(baselines.main, f"table={table.folder}", "n=1,3", "queries=81", f"out={tmp_path}")
    assert code == 0, err
    folder = tmp_path / "small"
    assert (folder / "baselines.md").read_text() in out
    lines = rows_of(folder / "baselines.csv")
    assert list(dict.fromkeys(line["baseline"] for line in lines)) == [
        "the largest",
        "one of the 3 largest",
        "random search, exact",
    ]
    oracle = Oracle(table)
    by_name = {(line["baseline"], line["metric"]): line for line in lines}
    largest = oracle.space.from_index(int(oracle.column("macs").argmax()))
    found = by_name["the largest", "val_pgd_acc"]
    assert float(found["mean"]) == pytest.approx(oracle.query(largest, "val_pgd_acc"))
    assert (found["queries"], found["std"]) == ("0", "")
    best = by_name["random search, exact", "val_pgd_acc"]
    assert float(best["mean"]) == pytest.approx(oracle.optimum("val_pgd_acc")[1]), "all were queried"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("n=0", "n=0: expected counts of at least 1"),
        ("n=many", "n='many': expected whole numbers"),
        ("objective=test_pgd_acc", "test_pgd_acc is a test metric and may not guide a search"),
        ("constraint=macs<=1", "keeps macs<=1"),
        ("constraint=macs<=9e9,val_loss<=2", "constraint=val_loss<=2: only a query tells what keeps it; limit macs or"),
        ("queries=0", "queries='0': expected a whole number from 1"),
    ],
)
def test_wrong_words(table: Table, tmp_path: Path, command: Command, word: str, said: str) -> None:
    code, out, err = command(baselines.main, f"table={table.folder}", f"out={tmp_path}", word)
    assert (code, out) == (2, "")
    assert said in err
    assert not list(tmp_path.glob("small/baselines*"))
