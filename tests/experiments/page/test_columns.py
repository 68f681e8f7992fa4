"""What is embedded of a table, to the last decimal."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.page import columns
from nasbench_ar import Entry, Oracle, load
from tests.experiments.conftest import write_table


def test_a_column_of_decimals_takes_two_bytes_a_value() -> None:
    values = np.array([38.8, np.nan, 0.05, 100.0, 0.0])
    packed = columns.pack(values)
    assert (packed["form"], packed["decimals"], packed["offset"]) == ("u16", 2, 0)
    stored = np.frombuffer(base64.b64decode(packed["data"]), "<u2")
    assert stored.tolist() == [3880, 65535, 5, 10000, 0]
    np.testing.assert_array_equal(columns.unpack(packed), values)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([True, False], "u8"),
        ([1, 2, 3], "u16"),
        ([3361936896, 38774320128], "f64"),
        ([1 / 3, np.nan], "f32"),
        ([1 / 3, 1 / 3, np.nan], "f32"),
        ([1 / 3, 1 / 3 + 1e-9], "f64"),
        ([np.nan, np.nan], "u16"),
        ([-0.25, 0.5], "u16"),
        ([0.0, 65534.0], "u16"),
        ([0.0, 65535.0], "f64"),
    ],
)
def test_the_smallest_form_that_holds_a_column(values: list[float], form: str) -> None:
    packed = columns.pack(np.array(values))
    assert packed["form"] == form
    exact = np.array(values, dtype=np.float64)
    np.testing.assert_allclose(columns.unpack(packed), exact, rtol=0 if form != "f32" else 1e-7)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.just(np.nan), st.integers(-3000, 30000).map(lambda k: k / 100)), max_size=20))
def test_decimals_come_back_exactly(values: list[float]) -> None:
    exact = np.array(values, dtype=np.float64)
    np.testing.assert_array_equal(columns.unpack(columns.pack(exact)), exact)


def test_every_value_of_the_embedded_table_comes_back_exactly() -> None:
    oracle = load("nares-figures", quiet=True)
    data = columns.table_data(oracle)
    assert data["indices"] is None
    by_name = {column["name"]: column for column in data["columns"]}
    for name in oracle.metrics:
        np.testing.assert_array_equal(columns.unpack(by_name[name]["packed"]), oracle.column(name))
        assert by_name[name]["known"] == oracle.available(name).sum()
    np.testing.assert_array_equal(columns.unpack(by_name["low_mode"]["packed"]), oracle.flag("low_mode"))
    assert "independent recoveries" in by_name["test_pgd_acc_agree"]["about"]
    assert [name for name in by_name if by_name[name]["doubt"]] == ["low_mode", "objective_imputed"]
    first = [columns.unpack(by_name[name]["packed"])[0] for name in (*oracle.space.entry_names, "arch_id")]
    assert first == [4, 8, 4, 8, 4, 8, 1]


def test_a_partial_table_embeds_what_it_has(tmp_path: Path) -> None:
    table = write_table(tmp_path / "small", absent=(0, 7, 80))
    data = columns.table_data(Oracle(table))
    indices = np.frombuffer(base64.b64decode(data["indices"]), "<i4")
    assert len(indices) == 78
    assert not {0, 7, 80} & set(indices.tolist())
    column = next(c for c in data["columns"] if c["name"] == "test_pgd_acc")
    np.testing.assert_allclose(columns.unpack(column["packed"]), Oracle(table).column("test_pgd_acc")[indices], 1e-7)
    assert column["label"] == "Test PGD20 †", "says that it is measured otherwise"
    assert column["about"].endswith("; here: ten steps")


# -- the document ----------------------------------------------------------------


def test_levels_stand_at_their_values_where_these_are_near() -> None:
    for choices, ordered, expected in (
        ((4, 5, 7, 9, 11), True, [4, 5, 7, 9, 11]),
        ((4, 5, 7), False, [0, 1, 2]),
        ((16, 64, 1024), True, [0, 1, 2]),
        ((0.001, 0.01), True, [0, 1]),
    ):
        assert columns.places(Entry("e", choices, ordered)).tolist() == expected
