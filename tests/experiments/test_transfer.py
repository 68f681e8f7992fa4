"""`experiments.design` and `experiments.transfer`, from the words to the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datagen.selection import select
from experiments import design, transfer
from nasbench_ar import Oracle, SearchSpace, Table
from tests.experiments.conftest import SPACE, Command, table_writer, write_table
from tests.files import rows_of


def test_a_design_is_what_datagen_takes(table: Table, tmp_path: Path, command: Command) -> None:
    path = tmp_path / "new" / "design.txt"
    out, _ = command.passes(design.main, f"table={table.folder}", "n=16", f"out={path}")
    assert "this choice" in out
    chosen = select(str(path), SPACE)
    assert len(set(chosen)) == 16
    command.passes(design.main, f"table={table.folder}", "n=16", f"out={tmp_path / 'again'}")
    assert (tmp_path / "again").read_text() == path.read_text()


@pytest.mark.usefixtures("real_pictures")
def test_transfer_of_a_design(table: Table, tmp_path: Path, command: Command) -> None:
    seen, judges = tmp_path / "seen.txt", tmp_path / "judges.txt"
    command.passes(design.main, f"table={table.folder}", "n=20", f"out={seen}")
    target = write_table(tmp_path / "target", shift=3, absent=(80,))
    others = [str(a) for a in SPACE if str(a) not in seen.read_text()]
    judges.write_text("\n".join(others[:30]) + "\n# nothing more\n")
    words = [f"source={table.folder}", f"target={target.folder}", f"archs={seen}", f"judges={judges}"]
    out, _ = command.passes(transfer.main, *words, f"out={tmp_path / 'out'}")
    assert "20 trainings of the target are seen, 30 judge; the source has 81." in out
    assert (tmp_path / "out" / "transfer.md").read_text() in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("transfer.md", "predictions.csv", "transfer.png", "transfer.pdf")
    }
    lines = rows_of(tmp_path / "out" / "predictions.csv")
    assert [line["arch"] for line in lines] == [str(a) for a in SPACE]
    assert sum(line["seen"] == "1" for line in lines) == 20
    assert lines[80]["target"] == "", "it was not trained"
    truth = Oracle(table).column("val_pgd_acc") + 3
    expected = np.array([float(line["expected"]) for line in lines])
    np.testing.assert_allclose(expected, truth, atol=0.05, err_msg="the target is the source, moved by 3")
    inside = [
        float(line["ci_low"]) <= value <= float(line["ci_high"]) for line, value in zip(lines, truth, strict=True)
    ]
    assert np.mean(np.array(inside)[[line["seen"] == "0" for line in lines]]) > 0.85


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["n=11"], "n='11': expected a whole number from 12"),
        (["n=82"], "n=82: the space of table small has 81 architectures"),
        (["objective=macs"], "macs"),
        (["objective=val_cw_acc"], "val_cw_acc"),
        (["leave_out=low_mode"], "table small has no such flag"),
        (["archs=x"], "unknown key 'archs'"),
    ],
)
def test_wrong_words_of_a_design(table: Table, tmp_path: Path, command: Command, words: list[str], said: str) -> None:
    error = command.fails(design.main, f"table={table.folder}", f"out={tmp_path / 'design.txt'}", *words)
    assert said in error
    assert not (tmp_path / "design.txt").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["target="], "target=: give the name or folder of the table to predict"),
        (["target=nowhere"], "nowhere"),
        (["archs=nowhere.txt"], "archs=nowhere.txt: cannot be read as text"),
        (["archs=few.txt"], "archs=few.txt: 1 of the 12 trainings at least that are needed"),
        (["judges=wrong.txt"], "9-9-9-9"),
        (["seed_sd=-1"], "seed_sd='-1': expected a number from 0"),
        (["target=other"], "table other is of another space than small"),
    ],
)
def test_wrong_words(
    table: Table, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("few.txt").write_text("1-1-1-1\n")
    Path("wrong.txt").write_text("9-9-9-9\n")
    with table_writer(Path("other"), "other", space=SearchSpace(depth_choices=(1, 2), width_choices=(1, 2))) as writer:
        values = np.random.default_rng(0).random(64)
        writer.add_rows(np.arange(64), np.zeros(64, dtype=int), {"val_pgd_acc": values})
    given = [f"source={table.folder}", f"target={table.folder}", *words]
    assert said in command.fails(transfer.main, *given)
    assert not Path("results").exists()
