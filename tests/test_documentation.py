"""What the documentation tells a user to type works, and what it shows is there."""

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import nasbench_ar.architecture
import nasbench_ar.metrics
import nasbench_ar.space
from experiments.races.config import RunConfig, parse_command_line
from experiments.results.baselines import LARGEST
from nasbench_ar import METRICS
from nasbench_ar.library import HOME_VARIABLE
from searchers import BASELINES, SEARCHERS
from tests.processes import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/how-to").glob("*.md"))]


def test_python_blocks_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_the_glossary_has_every_metric() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    found = {row[0]: row[1:] for row in rows if row[0].startswith("`")}
    assert found == {
        f"`{metric.name}`": [
            metric.label,
            metric.unit or "–",
            {True: "more", False: "less", None: "–"}[metric.maximize],
            metric.description,
        ]
        for metric in METRICS.values()
    }


def races(document: Path) -> Iterator[tuple[str, RunConfig]]:
    """Every race that a document tells a user to run, with the line that does."""
    for line in re.findall(r"python -m experiments\.(?:run|table2)\b[^\n`|]*", document.read_text(encoding="utf-8")):
        command, *words = shlex.split(line.partition("experiments.")[2], comments=True)
        words = [word for word in words if not word.startswith(("variant=", "published_bananas_runs=", "-"))]
        for searcher in SEARCHERS if command == "table2" else [None]:
            yield line, parse_command_line(words + ([f"searcher={searcher}"] if searcher else []))


def test_races_of_the_documentation_stand_in_one_folder() -> None:
    seen: dict[tuple[str, ...], tuple[str, object]] = {}
    for document in DOCUMENTS:
        for line, config in races(document):
            several = config.objective if "," in (config.objective or "") else ""
            folder = (config.out, config.table or "nares-figures", several or "", config.searcher_name)
            settings = (config.queries, config.searcher, config.objective, config.constraint, config.noise)
            other, there = seen.setdefault(folder, (line, settings))
            assert settings == there, f"{document.name}: {line}\nwould be refused after\n{other}"
    assert len(seen) > 15


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_commands_name_modules_and_scripts_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for module in re.findall(r"python -m ((?:nasbench_ar|experiments|benchmarks|datagen)[\w.]*)", text):
        path = ROOT / Path(*module.split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    for script in re.findall(r"python (scripts/\S+\.py)", text):
        assert (ROOT / script).exists(), script


def test_tables_of_searchers_show_what_needs_no_search() -> None:
    """A table that puts searchers side by side without the baselines says more than it knows."""
    headers = re.findall(r"^\|.*\|\n(?=\|[ :|-]+\|$)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    cells = [{cell.strip() for cell in header.split("|")} for header in headers]
    compared = [row for row in cells if len(row & set(SEARCHERS)) > 1]
    assert compared
    for row in compared:
        assert {*BASELINES, f"one of the {LARGEST} largest"} <= row


def test_the_readme_and_ci_run_the_same_tests() -> None:
    command = "python -m pytest\n"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").endswith(command)


@pytest.mark.parametrize("module", [nasbench_ar.architecture, nasbench_ar.space, nasbench_ar.metrics])
def test_examples_in_docstrings(module: object) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.testmod(module, optionflags=flags)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0
