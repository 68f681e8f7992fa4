"""Table 2's rows, numbers and formats."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from experiments.results import summary
from experiments.results.published import OPTIMAL, TABLE2, published_column
from experiments.tables import as_latex, as_markdown, csv_text, number
from nasbench_ar import NARES, Oracle, Table, load
from nasbench_ar.metrics import TABLE2_ROWS
from searchers import SEARCHERS
from tests.experiments.conftest import SPACE


def rows_of(oracle: Oracle, reported: list[int], objective: str = "val_pgd_acc") -> dict[str, summary.Row]:
    rows, _ = summary.summarise(
        oracle, np.array(reported, dtype=np.int32), objective=objective, queries=500, searcher="bananas"
    )
    return {row.metric: row for row in rows}


def test_numbers_by_hand(table: Table) -> None:
    oracle = Oracle(table)
    row = rows_of(oracle, [1, 2, 4])["val_pgd_acc"]
    values = oracle.column("val_pgd_acc")[[1, 2, 4]]
    assert row.spread.mean == pytest.approx(values.sum() / 3)
    assert row.spread.std == pytest.approx(math.sqrt(((values - values.mean()) ** 2).sum() / 2))
    assert row.spread.interval[1] - row.spread.mean == pytest.approx(4.302653 * row.spread.std / math.sqrt(3), rel=1e-6)
    assert row.optimum == oracle.column("val_pgd_acc").max()
    assert row.is_objective
    assert row.published is None, "another space has no published value"


def test_missing_values_are_left_out_and_counted(table: Table) -> None:
    row = rows_of(Oracle(table), [0, 1, 2, 3])["test_pgd_acc"]
    assert row.label == "Test PGD20 (ten steps) (2 of 4 runs)"
    assert summary.cells(row)[0] == "Test PGD20† (2 of 4 runs)"
    assert row.spread.mean == pytest.approx(Oracle(table).column("test_pgd_acc")[[1, 2]].mean())


def test_no_value_at_all_is_a_dash_not_a_zero(table: Table) -> None:
    row = rows_of(Oracle(table), [0, 3])["test_pgd_acc"]
    assert math.isnan(row.spread.mean)
    assert summary.cells(row)[1:3] == ("–", "–")
    line = next(csv.DictReader(io.StringIO(summary.as_csv([row]))))
    assert line["mean"] == line["std"] == line["ci_low"] == ""


def test_what_breaks_a_limit_has_no_part(table: Table) -> None:
    """The mean of what is reported is never better than the best that keeps the limits."""
    oracle = Oracle(table)
    by_loss = np.argsort(oracle.column("val_loss"))
    reported = np.concatenate([by_loss[:2], by_loss[-3:]]).astype(np.int32)
    limits = oracle.limits(f"val_loss<={float(oracle.column('val_loss')[by_loss[1]])!r}")
    rows, _ = summary.summarise(oracle, reported, objective="val_pgd_acc", queries=9, searcher=None, constraints=limits)
    row = next(row for row in rows if row.is_objective)
    assert row.spread.mean == pytest.approx(oracle.column("val_pgd_acc")[by_loss[:2]].mean())
    assert row.spread.mean <= row.optimum
    assert row.label.endswith("(2 of 5 runs)")


def test_rows_that_a_table_lacks_are_named(table: Table) -> None:
    metrics, lacking = summary.table2_metrics(Oracle(table), "val_pgd_acc")
    assert [m.name for m in metrics] == ["val_pgd_acc", "test_pgd_acc"]
    assert lacking == [row for row in TABLE2_ROWS if row not in ("Val PGD20", "Test PGD20")]


def test_the_objective_decides_who_fills_its_row(table: Table) -> None:
    names = [m.name for m in summary.table2_metrics(Oracle(table), "val_best_pgd_acc")[0]]
    assert names == ["val_best_pgd_acc", "test_pgd_acc"]
    names = [m.name for m in summary.table2_metrics(Oracle(table), "val_loss")[0]]
    assert names == ["val_loss", "val_pgd_acc", "test_pgd_acc"]


def test_csv_has_the_promised_columns_and_round_trips() -> None:
    rows = list(rows_of(load("nares-figures", quiet=True), [5, 7, 9000], "val_best_pgd_acc").values())
    text = summary.as_csv(rows)
    assert text.splitlines()[0] == "metric,label,mean,std,ci_low,ci_high,optimum,published"
    for row, line in zip(rows, csv.DictReader(io.StringIO(text)), strict=True):
        assert float(line["mean"]) == pytest.approx(row.spread.mean, abs=1e-9)
        assert line["label"] == row.label
    published = {line["metric"]: line["published"] for line in csv.DictReader(io.StringIO(text))}
    assert published["val_best_pgd_acc"] == "38.55"


def test_labels_say_that_a_definition_differs() -> None:
    rows = rows_of(load("nares-figures", quiet=True), [5, 7], "val_best_pgd_acc")
    assert rows["val_best_pgd_acc"].label == "Val PGD20, max over epochs"
    assert rows["val_best_pgd_acc"].published == (38.55, 0.24)


@pytest.mark.parametrize(
    ("searcher", "space", "row", "queries"),
    [
        (None, NARES, "Val PGD20", 500),
        ("bananas", SPACE, "Val PGD20", 500),
        ("bananas", NARES, "Val Clean", 500),
        ("bananas", NARES, "Val PGD20", 200),
    ],
)
def test_published_values_stand_beside_equal_protocols_only(
    searcher: str, space: object, row: str, queries: int
) -> None:
    assert published_column(searcher, space=space, objective_row=row, queries=queries) == {}  # type: ignore[arg-type]


def test_published_table_is_complete() -> None:
    assert set(OPTIMAL) == set(TABLE2_ROWS)
    assert all(set(column) == set(TABLE2_ROWS) for column in TABLE2.values())
    assert all(mean <= OPTIMAL[row] for column in TABLE2.values() for row, (mean, _) in column.items())


def test_markdown_and_latex() -> None:
    header, lines = ("Metric", "Mean"), [["100 % & more_", "**1.00 ± 0.10**"], ["b", "≈ –"]]
    assert as_markdown(header, lines).splitlines()[1] == "| ------------- | --------------: |"
    latex = as_latex(header, lines, "under_score", "under_score: $^")
    assert r"100 \% \& more\_ & \textbf{1.00{\scriptsize\,$\pm$\,0.10}} \\" in latex
    assert r"b & $\approx$\,-- \\" in latex
    assert r"\caption{under\_score}" in latex
    assert r"\label{tab:under-score-}" in latex
    braces = as_latex(header, lines, "{a}$^\\", "x")
    assert r"\caption{\{a\}\$\textasciicircum{}\textbackslash{}}" in braces


def test_latex_reads_like_a_paper() -> None:
    lines = [
        ["Val PGD20†", "≈ 1.00 [3]", "5.1e-06"],
        ["  published", "–", "–"],
        ["regularized_evolution", "[x]", "6.680e+09 ± 1.2e+08"],
        ["published_bananas", "my_own", "macs<=10e9 > 1"],
        ["mean ± std", "61.40 ± 0.24 [394]", "**61.40 ± 0.24**"],
        ["[x]", "*", "-0.5 to 1-2, 1e5x"],
    ]
    latex = as_latex(("One of the metrics", "regularized_evolution", "Mean ± std"), lines, "a <= b", "t")
    for line in (
        r"\shortstack[l]{One of the\\metrics} & \shortstack[r]{Regularized\\evolution} & Mean $\pm$ std \\",
        r"Val PGD20\textsuperscript{$\dagger$} & $\approx$\,1.00 [3] & $5.1\times10^{-6}$ \\",
        r"\quad published & -- & -- \\",
        r"Regularized evolution & {}[x] & $6.680\times10^{9}${\scriptsize\,$\pm$\,$1.2\times10^{8}$} \\",
        r"mean $\pm$ std & 61.40{\scriptsize\,$\pm$\,0.24 [394]} & \textbf{61.40{\scriptsize\,$\pm$\,0.24}} \\",
        r"BANANAS (published) & my\_own & macs$\leq$10e9 $>$ 1 \\",
        r"{}[x] & {}* & $-$0.5 to 1-2, 1e5x \\",
        r"\caption{a $\leq$ b}",
    ):
        assert line in latex.splitlines()
    assert latex.splitlines().index(r"\addlinespace") == latex.splitlines().index(r"\quad published & -- & -- \\") + 1


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_a_plain_article_takes_the_table(tmp_path: Path) -> None:
    wide = "**61.40 ± 0.24 [394]**"
    lines = [["Val PGD20, max over epochs (objective)†", "38.80", *([wide] * 6)], ["  published", "<|>", *(["–"] * 6)]]
    lines += [["[$x^_&%#{}~\\]", "5.1e-06", *(["≈ 1.00"] * 6)]]
    header = ("Metric", "Optimum", *SEARCHERS, "published_bananas", "$x^$")
    table = as_latex(header, lines, "Bold: best; ≈: no worse, p >= 0.05; [n]: runs. [$x^_&%#{}~\\<|>]", "t")
    (tmp_path / "table.tex").write_text(table)
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\input{table}\ref{tab:t}\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_four_searchers_need_little_scaling(tmp_path: Path) -> None:
    lines = [["Val PGD-CW40 (max)", "38.80", *(["≈ 61.40 ± 0.24"] * 3), "**61.40 ± 0.24**"]]
    table = as_latex(("Metric", "Optimum", *SEARCHERS), lines, "c", "t")
    begin, end = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%", r"\end{tabular}}"
    assert (table.count(begin), table.count(end)) == (1, 1)
    table = table.replace(begin, r"\setbox0=\hbox{%").replace(end, end + r"\typeout{took \the\wd0 of \the\linewidth}")
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{table}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    found = re.search(r"took ([\d.]+)ptof ([\d.]+)pt", done.stdout)
    assert found is not None
    assert float(found[1]) / float(found[2]) < 1.15, "letters of 9 points become at least 7.8"


@pytest.mark.parametrize(("value", "text"), [(38.184, "38.18"), (6.68e9, "6.680e+09"), (math.nan, "–")])
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text


def test_no_text_of_a_csv_is_a_formula() -> None:
    """Names come from the command line, labels from a table's manifest; spreadsheets compute what begins so."""
    texts = ["=1+1", "+cmd|'x'!A1", "-2+3", "@SUM(A1)", "\t=1", "plain", "a=b", "", "-0.5", "-inf", "+1e3"]
    lines = list(csv.reader(io.StringIO(csv_text(["name", "n"], [[text, -0.5] for text in texts]))))
    assert lines[0] == ["name", "n"]
    expected = [f"'{text}" for text in texts[:5]] + texts[5:]
    assert lines[1:] == [[text, "-0.5"] for text in expected]


def test_markdown_by_hand(table: Table) -> None:
    assert as_markdown(("a", "bb"), [("ccc", "d")]) == "| a   | bb |\n| --- | -: |\n| ccc |  d |\n"
    rows = rows_of(Oracle(table), [1, 2])
    assert [summary.cells(rows[name])[0] for name in ("val_pgd_acc", "test_pgd_acc")] == [
        "Val PGD20 (objective)",
        "Test PGD20†",
    ]
