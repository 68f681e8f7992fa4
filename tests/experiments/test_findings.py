"""The findings: docs/findings.md holds what the command prints, and the command says what a table lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments import findings
from nasbench_ar import Oracle, Table, load
from tests.experiments.conftest import Command

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/findings.md"


def quoted(name: str) -> str:
    """A marked block of the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.search(rf"<!-- begin {name} -->\n(.*?)\n<!-- end {name} -->", text, re.DOTALL)
    assert found, name
    return found[1].strip()


@pytest.mark.parametrize("name", ["finding3", "finding4", "finding6", "finding8", "optima"])
def test_the_document_quotes_the_command(name: str) -> None:
    data = findings.samples(load("nares-figures", quiet=True))
    assert findings.finding(name, data).strip() == quoted(name)


@pytest.mark.slow
def test_the_document_quotes_all_of_the_command() -> None:
    data = findings.samples(load("nares-figures", quiet=True))
    for name in findings.FINDINGS:
        assert findings.finding(name, data).strip() == quoted(name), name


def test_every_finding_on_a_small_table(table: Table, command: Command) -> None:
    out = command.passes(findings.main, f"table={table.folder}")[0]
    assert "Cannot be said: table small has no stable accuracy." in out
    assert "flagged out" not in out, "the table has no flags"
    for title, _, _ in findings.FINDINGS.values():
        assert f"\n{title}\n" in out
    steps = findings.finding("finding2", findings.samples(Oracle(table)))
    assert steps.splitlines()[0].replace(" ", "").startswith("|Metric|D1|W1|D2|W2|stepsup/down|")


def test_errors(command: Command) -> None:
    assert command(findings.main, "figures=2")[0] == 2
    assert "no verdict" in command(findings.main, "--help")[1]
