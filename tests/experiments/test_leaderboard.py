"""The leaderboard of honest and refused submissions."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from experiments import leaderboard as front
from experiments.races.track import tracks
from experiments.submissions.entry import ENTRY, SUBMISSIONS
from experiments.submissions.page import HEADER
from experiments.submit import submit
from tests.experiments.conftest import Command, judged_values, raced
from tests.experiments.submissions.conftest import Change, _examples, changed, honest, results  # noqa: F401
from tests.processes import ROOT

STORED = ROOT / SUBMISSIONS
TAGS = "html head meta title style body h1 h2 p div table tr th td ul li"


@pytest.fixture(scope="module")
def both(honest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """Folder of two submissions: annealing, and random search."""
    folder = raced("macs-7g", "searcher=random_search", f"out={tmp_path_factory.mktemp('r')}")
    submit(folder / "random_search", contact="", tuned_on="", out=honest.parent.parent)
    return honest.parent


def test_check_says_a_line_for_each(command: Command, both: Path, changed: Change) -> None:  # noqa: F811
    out, _ = command.passes(front.main, "check", both)
    assert out.splitlines() == [
        f"passed: {both / name}: 100 runs; 5 runs re-run bit for bit" for name in ("annealing", "random_search")
    ]
    bad = changed(runs=lambda frame: frame[frame.seed != 40])
    code, out, err = command(front.main, "check", "reruns=0", bad, both / "random_search")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"refused: {bad}: seed 40 is missing; expected all from 0 to 99",
        f"passed: {both / 'random_search'}: 100 runs; not re-run: not asked for",
    ]


def test_the_page(command: Command, both: Path, changed: Change, tmp_path: Path) -> None:  # noqa: F811
    def sly(entry: dict[str, Any]) -> None:
        entry["entry"] = "sly"
        entry["tuned_on"] = ["<script>alert(1)</script>|a|b"]
        entry["contact"] = "[x](javascript:y) `z` & <b>"

    bad = tmp_path / "bad"
    sly_one = changed(entry=sly)
    bad.mkdir()
    (bad / ENTRY).write_text("format: 3")
    words = ("build", both, sly_one, bad, both / "annealing", f"out={tmp_path / 'page'}", "reruns=1")
    _, err = command.passes(front.main, *words)
    assert err == "nasbench-ar: 1 submissions were left out\n"
    text = (tmp_path / "page/leaderboard.md").read_text()
    assert "## Track macs-7g: 200 queries" in text
    rows = [re.split(r"(?<!\\)\|", line) for line in text.splitlines()]
    lines = {row[1].strip(): [cell.strip() for cell in row] for row in rows if len(row) > 9}
    assert lines["annealing"][9] == lines["random\\_search"][9] == "1 of 100"
    sly_line = lines["sly"]
    assert sly_line[8] == r"\<script\>alert(1)\</script\>\|a\|b"
    assert sly_line[2] == lines["annealing"][2], "equal entries share a rank"
    assert sly_line[6] == lines["annealing"][6], "and are better than the same"
    assert lines["random\\_search"][8] == "none"
    assert lines["macs-7g"][8] == "0 of 3", "the line of the track among all"
    assert "annealing.SimulatedAnnealing(cooling=0.98)" in text, "arguments that the toolkit does not know"
    assert re.search(r"\| +searchers.random\\_search.RandomSearch \|", text), "its own defaults are not spelled out"
    assert "no entry of format 1" in text
    assert not re.search(r"(?<!\\)<[a-z]", text), "no HTML of a submission's"
    page = (tmp_path / "page/leaderboard.html").read_text()
    assert "<script" not in page
    tags = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: tags.add(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert not tags - set(TAGS.split())
    assert not re.search(r"(src|href|url)[=(]", page)


@pytest.mark.skipif(not STORED.exists(), reason="a source archive has no submissions")
def test_the_page_of_the_documentation_is_of_the_stored_submissions(command: Command, tmp_path: Path) -> None:
    """But for what was carried out again: the same page by `python -m experiments.leaderboard build out=docs`."""
    command.passes(front.main, "build", STORED, f"out={tmp_path}", "reruns=0")

    def cells(page: Path) -> list[list[str]]:
        rows = [[cell.strip(" -:") for cell in line.split(" | ")] for line in page.read_text().splitlines()]
        return [row[:8] if len(row) == len(HEADER) else row for row in rows]

    assert cells(tmp_path / "leaderboard.md") == cells(ROOT / "docs/leaderboard.md")
    assert {path.parent.parent.name for path in STORED.rglob(ENTRY)} == set(tracks())


def test_ranks_are_of_the_judge(command: Command, both: Path, tmp_path: Path) -> None:
    command.passes(front.main, "build", both, f"out={tmp_path}", "reruns=0")
    text = (tmp_path / "leaderboard.md").read_text()
    column = front.checked([both / "annealing"], 0)
    [one] = column
    assert not isinstance(one, str)
    values = pd.Series(judged_values(one.oracle, one.race, one.runs, "test_pgd_acc"))
    assert f"{values.mean():.2f} ± {values.std():.2f}" in text


def test_what_is_refused(command: Command, both: Path, changed: Change, tmp_path: Path) -> None:  # noqa: F811
    for words in ((), ("make", both), (both,)):
        assert "expected check or build, and folders" in command.fails(front.main, *words)
    assert "holds no submission" in command.fails(front.main, "check", tmp_path)
    assert "unknown key 'out'" in command.fails(front.main, "check", both, "out=x")
    twice = changed()
    code, out, _ = command(front.main, "check", "reruns=0", both, twice)
    assert code == 1
    assert f"refused: {twice}: track macs-7g has annealing already, {both / 'annealing'}" in out
    (twice / ENTRY).write_text(yaml.safe_dump({"format": 1}))
    assert "no submission passes" in command.fails(front.main, "build", twice, f"out={tmp_path}")
