"""Table 2 with the published searchers beside the corrected ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments import table2
from nasbench_ar import Table
from searchers import trajectory
from tests.experiments.conftest import Command, write_table

CHEAP = ["published_bananas_runs=0", "jobs=1"]


def test_both_on_the_embedded_table(tmp_path: Path, command: Command) -> None:
    words = ["table=nares-figures", "runs=3", "variant=both", f"out={tmp_path}", *CHEAP]
    out = command.passes(table2.main, *words)[0]
    assert "Runs, corrected: random_search 3, local_search 3, regularized_evolution 3, bananas 3, largest 3." in out
    assert "Runs, published code: random_search 3, local_search 3, regularized_evolution 3." in out
    block = out[out.index("| Val PGD20, max over epochs (objective)") :].splitlines()
    cells = [cell.strip() for cell in block[3].split("|")]
    assert cells[1:7] == ["paper", "38.80", "38.18 ± 0.22", "38.17 ± 0.22", "38.50 ± 0.24", "38.55 ± 0.24"]
    for line in block[1:3]:
        mean, difference = line.split("|")[3].strip().split(" ± ")[0], line.split("(")[1].split(")")[0]
        assert float(mean) - 38.18 == pytest.approx(float(difference), abs=0.011)
    assert block[2].split("|")[6].strip() == "–", "no run of the published BANANAS was asked for"
    assert "over budget, the longest with" in out
    stem = tmp_path / "nares-figures"
    assert {f"table2-both.{end}" for end in ("md", "csv", "tex", "png")} <= {p.name for p in stem.iterdir()}


def test_runs_that_came_to_a_stop_are_named(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a partial table the published evolution may meet nothing new for ever."""
    monkeypatch.setattr(trajectory, "STALL_LIMIT", 12)
    partial = write_table(tmp_path / "partial", absent=tuple(k for k in range(81) if k % 4))
    words = [f"table={partial.folder}", "runs=3", "queries=21", f"out={tmp_path}", *CHEAP]
    out = command.passes(table2.main, *words, "variant=published")[0]
    line = next(line for line in out.splitlines() if line.startswith("published_regularized_evolution: "))
    found = re.search(r"(\d) runs ended early; .* 12 times in a row after (\d+) queries and (\d+) repeats", line)
    assert found, line
    assert 0 < int(found[2]) < 21
    assert int(found[3]) >= 12


def test_published_alone(table: Table, tmp_path: Path, command: Command) -> None:
    words = [f"table={table.folder}", "runs=2", "queries=20", "variant=published", f"out={tmp_path}", *CHEAP]
    out = command.passes(table2.main, *words)[0]
    assert "corrected:" not in out
    assert "paper" not in out.split("Mean ± standard")[0], "another space has no published line"
    assert not (tmp_path / "small" / "bananas").exists()


@pytest.mark.parametrize("word", ["variant=all", "published_bananas_runs=some", "published_bananas_runs=-1"])
def test_wrong_words(command: Command, word: str) -> None:
    assert f"error: {word.split('=')[0]}=" in command.fails(table2.main, word)


def test_help_names_its_own_keys(command: Command) -> None:
    out = command(table2.main, "--help")[1]
    assert re.search(r"variant=corrected +one of corrected, published, both\n +published_bananas_runs=20 ", out)
