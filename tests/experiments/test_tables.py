"""Short labels, and the note on what their daggers mean."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np

from experiments.statistics.intervals import Spread
from experiments.tables import as_markdown, csv_text, definitions, difference_text, interval, marked, short_label
from nasbench_ar import Oracle, Table
from tests.experiments.conftest import SPACE, table_writer


def test_the_narrowest_column_has_a_ruler_that_markdown_takes() -> None:
    assert as_markdown(["a", "p"], [["b", "1"]]).splitlines()[1] == "| -- | -: |"


def test_numbers_of_a_csv_file() -> None:
    line = [0.1 + 0.2, np.float64(1e-30), 1e10, 3, math.nan, None, "=1+1", "-1"]
    assert csv_text(["a"] * 8, [line]).splitlines()[1] == "0.3,1e-30,10000000000.0,3,,,'=1+1,-1"


def test_marks_of_a_compared_row() -> None:
    p_values = [0.05, math.nan, 0.049, math.nan]
    assert marked(["a", "b", "c", "d"], 1, p_values) == ["≈ a", "**b**", "c", "? d"]
    assert marked(["a", "b"], None, [math.nan] * 2) == ["a", "b"]
    assert [interval((1.0, 2.5)), interval((math.nan, math.nan))] == ["1.000 to 2.500", "–"]


def test_differences_of_small_units_have_digits() -> None:
    small = Spread(9, 0.00123, 0.001, (0.001, 0.002))
    assert difference_text(small, told=True, unit="") == "**+0.00123 (0.001 to 0.002)**"
    assert difference_text(small, told=False, unit="%") == "+0.00 (0.001 to 0.002)"
    assert difference_text(Spread(1, -0.5, math.nan, (math.nan, math.nan)), told=False, unit="") == "-0.50"


def test_a_dagger_where_the_table_measures_otherwise(table: Table) -> None:
    oracle = Oracle(table)
    assert short_label(oracle, "test_pgd_acc") == "Test PGD20†"
    assert short_label(oracle, "val_pgd_acc") == "Val PGD20"
    expected = "† measured otherwise than in the paper: ten steps"
    assert definitions(oracle, ["val_pgd_acc", "test_pgd_acc", "test_pgd_acc"]) == expected
    assert definitions(oracle, ["val_pgd_acc"]) == ""


def test_every_definition_once_with_what_it_is_about(tmp_path: Path) -> None:
    differs = {"val_pgd_acc": "ten steps", "test_pgd_acc": "ten steps", "test_clean_acc": "digits"}
    with table_writer(tmp_path / "t", "t", differs) as writer:
        values = {"val_pgd_acc": 1.0, "test_pgd_acc": 2.0, "test_clean_acc": 3.0}
        writer.add(SPACE.from_index(0), seed=0, scalars=values)
    text = definitions(Oracle(Table(tmp_path / "t")), values)
    assert text == ("† measured otherwise than in the paper: Val PGD20, Test PGD20: ten steps; Test Clean: digits")


def test_signs_need_no_other_module() -> None:
    code = "from experiments.tables import as_latex; print(as_latex(['a ± b'], [['1 ± 2']], 'x', 'y'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count(r"$\pm$") == 2
