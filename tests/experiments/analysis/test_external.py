"""The published networks beside a table's: counts by hand and by SciPy, and which tables have them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments.analysis import external
from experiments.analysis.table_data import TableData
from nasbench_ar import MissingEntryError, Oracle, Table, load

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/carries-over.md"


def test_agreement_of_four_by_hand() -> None:
    rising = np.arange(4.0)
    assert external.agreement(rising, rising) == (6, 0, 0, pytest.approx(1 / 24))
    assert external.agreement(rising, rising[::-1]) == (0, 6, 0, 1)
    assert external.agreement(rising, np.array([0.0, 1, 3, 2])) == (5, 1, 0, pytest.approx(4 / 24))
    assert external.agreement(rising, np.array([0.0, 1, 2, 2])) == (5, 0, 1, pytest.approx(2 / 24))


def test_chance_is_the_exact_test_of_kendall() -> None:
    first, second = np.random.default_rng(3).normal(size=(2, 6))
    expected = stats.kendalltau(first, second, method="exact", alternative="greater").pvalue
    assert external.agreement(first, second)[3] == pytest.approx(expected)


@pytest.mark.parametrize(("first", "second"), [(3, 4), (9, 9)])
def test_agreement_refuses(first: int, second: int) -> None:
    with pytest.raises(ValueError, match=f"got {first} and {second} values; give two of equal length, at most 8"):
        external.agreement(np.zeros(first), np.zeros(second))


def test_the_document_quotes_the_numbers() -> None:
    numbers = external.numbers(TableData.of(load("nares-figures", quiet=True)))
    found = numbers.tables["agreement"].set_index(["dataset", "loss", "metric"])
    assert found.loc[("cifar10", "trades", "test_pgd_acc")].tolist() == ["test_pgd_acc", 4, 5, 1, 0, 4 / 24, 6]
    assert found.loc[("cifar10", "trades", "test_aa_acc"), "n"] == 3  # the table lacks one of the four
    axes = external.FIGURE.draw(numbers).axes
    assert [len(ax.lines) for ax in axes] == [2, 4, 4, 2]  # a mark for each loss and data set with a value
    text = DOCUMENT.read_text(encoding="utf-8")
    block = re.search(r"<!-- begin external -->\n(.*?)<!-- end external -->", text, re.DOTALL)
    assert block
    assert block[1].strip() == external.as_text(numbers).strip()


def test_a_table_of_another_family(table: Table) -> None:
    with pytest.raises(MissingEntryError, match="fewer than 3 of the published networks"):
        external.numbers(TableData.of(Oracle(table)))
