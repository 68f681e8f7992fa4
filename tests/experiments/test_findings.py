"""The findings: docs/findings.md holds what the command prints, and the command says what a table lacks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from experiments import findings
from nasbench_ar import Oracle, Table, load
from tests.experiments.conftest import SPACE, Command, table_writer

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


def test_what_a_table_cannot_say_does_not_end_the_command(tmp_path: Path, command: Command) -> None:
    """Twelve architectures, validation alone, a loss as objective, in steps that look like those of images."""
    with table_writer(tmp_path / "few", "few", objective="val_loss") as writer:
        for index in range(0, SPACE.size, 7):
            scalars = {"val_loss": 0.5 + round(np.sin(index), 2), "val_pgd_acc": 30 + index / 2}
            writer.add(SPACE.from_index(index), seed=0, scalars=scalars)
    out = command.passes(findings.main, f"table={tmp_path / 'few'}")[0]
    assert "1. Accuracy along MACs and params\n\nCannot be said: too few architectures" in out
    assert "7. Validation and test ranks\n\nCannot be said: no accuracy is known both of" in out
    assert "standard error" not in out


def test_diagnostics_are_compared_with_accuracy() -> None:
    """What the third and fourth finding are about."""
    found = findings.finding("finding4", findings.samples(load("digits-729", quiet=True)))
    header, _, first, *_ = ([cell.strip() for cell in line.split("|")[1:-1]] for line in found.splitlines())
    assert header[-3:] == ["ρ with accuracy", "median", "in the best 1 %"]
    lip, accuracy = (load("digits-729", quiet=True).column(f"test_pgd_{name}") for name in ("lip", "acc"))
    assert first[0] == "Test PGD20 lip"
    assert first[-3] == f"{spearmanr(lip, accuracy).statistic:.2f}"


def test_errors(command: Command) -> None:
    assert command(findings.main, "figures=2")[0] == 2
    assert "no verdict" in command(findings.main, "--help")[1]
