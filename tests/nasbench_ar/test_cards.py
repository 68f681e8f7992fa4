"""Parquet files, read back by pandas and pyarrow, and their descriptions, read by mlcroissant."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nasbench_ar import ConfigError, Entry, Oracle, Table, TableError, TableWriter
from nasbench_ar.__main__ import main
from nasbench_ar.cards import card_text, description, write_card, write_parquet
from nasbench_ar.frames import to_dataframe
from nasbench_ar.library import open_table
from nasbench_ar.metrics import METRICS
from tests.nasbench_ar.conftest import TOY, table_of
from tests.processes import ROOT

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize("by", ["training", "architecture"])
def test_parquet_holds_the_frame(toy: Oracle, tmp_path: Path, by: str) -> None:
    write_parquet(toy.table, tmp_path / "x.parquet", by=by)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), to_dataframe(toy, by=by))  # type: ignore[arg-type]


def test_columns_have_units_and_the_file_its_origin(toy: Oracle, tmp_path: Path) -> None:
    write_parquet(toy.table, tmp_path / "x.parquet")
    schema = parquet.read_schema(tmp_path / "x.parquet")
    for field in schema:
        told = {key.decode(): text.decode() for key, text in field.metadata.items()}
        assert told["description"], field.name
        assert told["unit"] == (METRICS[field.name].unit if field.name in METRICS else "")
    about = json.loads(schema.metadata[b"nasbench_ar"])
    assert about["content_sha256"] == toy.table.content_hash
    assert about["provenance"] == toy.table.meta["provenance"]


@pytest.mark.filterwarnings("default")  # of rdflib's own
@pytest.mark.parametrize("name", ["digits-729", "nares-figures"])
def test_mlcroissant_accepts_the_description_and_reads_the_file(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    croissant = pytest.importorskip("mlcroissant")
    out = tmp_path / f"{name}.parquet"
    with caplog.at_level(logging.WARNING):
        assert main(["export", name, str(out), "--card"]) == 0
        dataset = croissant.Dataset(jsonld=str(tmp_path / f"{name}.croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert str(dataset.metadata.ctx.conforms_to.value).endswith("/1.1")
    assert dataset.metadata.data_limitations
    frame = to_dataframe(open_table(name), by="training")
    for (_, row), record in zip(frame.head(20).iterrows(), dataset.records("rows"), strict=False):
        assert record["rows/arch"].decode() == row["arch"]
        np.testing.assert_equal(record["rows/test_pgd_acc"], row["test_pgd_acc"])


def test_the_card_counts_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.parquet"
    assert main(["export", "nares-figures", str(out), "--card"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "x.croissant.json"), str(tmp_path / "x.md")]
    card = (tmp_path / "x.md").read_text(encoding="utf-8")
    assert "| `test_pgd_acc` | % | 1339 |" in card  # as docs/tables.md has it
    assert all(f"- {note}" in card for note in open_table("nares-figures").meta["notes"])


@pytest.mark.parametrize("name", ["digits-729", "nares-figures"])
def test_cards_of_the_embedded_tables_are_up_to_date(name: str) -> None:
    table = open_table(name)
    stored = ROOT / f"docs/cards/{name}.md"
    assert stored.read_text(encoding="utf-8") == card_text(table, to_dataframe(table, by="training"), by="training"), (
        f"python -m nasbench_ar export {name} {stored.with_suffix('.parquet')} --card"
    )


def exported(table: Table, folder: Path, **how: Any) -> tuple[dict[str, Any], str]:
    """The Croissant description and the card of a table."""
    write_parquet(table, folder / "x.parquet", **how)
    described, card = write_card(table, folder / "x.parquet", **how)
    return json.loads(described.read_text()), card.read_text()


def of_a_frame(folder: Path, **columns: tuple[Any, ...]) -> Table:
    """Entries with their levels; every combination in turn has a value."""
    frame = pd.DataFrame(columns, dtype=object).assign(val_clean_acc=1.0)
    entries = [Entry(name, tuple(dict.fromkeys(levels)), ordered=False) for name, levels in columns.items()]
    about = dict.fromkeys(("name", "title", "provenance", "licence"), "toy")
    return Table(TableWriter.from_frame(frame, folder, entries=entries, metrics=["val_clean_acc"], **about))


def test_types_are_those_of_the_file(tmp_path: Path) -> None:
    described, card = exported(of_a_frame(tmp_path / "t", alpha=(1, 0.5, 2), text=(1, 2, "sqrt")), tmp_path)
    types = {field["name"]: field["dataType"] for field in described["recordSet"][0]["field"]}
    assert [types[name] for name in ("arch_id", "alpha", "text")] == ["sc:Integer", "sc:Float", "sc:Text"]
    assert pd.read_parquet(tmp_path / "x.parquet")["text"].tolist() == ["1", "2", "sqrt"]
    assert "| `arch_id` |  | 0 | number of the architecture, from 1, in lexicographic order of the levels |" in card


def test_an_empty_label_is_missing(tmp_path: Path) -> None:
    rows = [
        (TOY.from_index(k), {"val_pgd_acc": 1.0, "labels": {"gpu_type": label}}) for k, label in enumerate(["", "x"])
    ]
    assert "| `gpu_type` |  | 1 |" in exported(table_of(tmp_path / "t", *rows), tmp_path)[1]


@pytest.mark.parametrize(
    ("flag", "meaning"),
    [
        ("sanity_zero_gradients", "flag: over 1 % of the correct images have no gradient"),
        ("val_pgd_acc_agree", "flag: independent recoveries gave the same value of val_pgd_acc"),
        ("note", "flag: see the notes of the table"),
        ("they_agree", "flag"),
    ],
)
def test_what_is_known_of_a_flag(flag: str, meaning: str, tmp_path: Path) -> None:
    table = table_of(tmp_path / "t", (TOY.from_index(0), {"val_pgd_acc": 1.0, "flags": {flag: True}}))
    assert description(table, flag) == meaning


def test_what_a_row_is(toy: Oracle, tmp_path: Path) -> None:
    for by, words in (("training", "one per training"), ("architecture", "metrics are means over its trainings")):
        described, card = exported(toy.table, tmp_path, by=by)
        told = json.loads(parquet.read_schema(tmp_path / "x.parquet").metadata[b"nasbench_ar"])["rows"]
        assert all(words in text for text in (described["recordSet"][0]["description"], card, told))


def test_a_card_needs_its_file(toy: Oracle, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cannot read .*x\.parquet: No such file.*; export the table first"):
        write_card(toy.table, tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=r"not x\.csv: give a name that ends in \.parquet"):
        write_card(toy.table, tmp_path / "x.csv")
    with pytest.raises(TableError, match="cannot write .*nothing was changed"):
        write_parquet(toy.table, tmp_path / "absent" / "x.parquet")
