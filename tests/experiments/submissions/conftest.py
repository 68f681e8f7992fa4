"""An outsider's submission, made from `examples/annealing.py`, and changed copies of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from experiments.submissions.entry import ENTRY, RUNS
from experiments.submit import submit
from tests.experiments.conftest import raced
from tests.processes import ROOT

TRACK = "macs-7g"
ANNEALING = "annealing.SimulatedAnnealing"
Change = Callable[..., Path]


@pytest.fixture(scope="module")
def _examples() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "examples"))
    yield
    sys.path.remove(str(ROOT / "examples"))
    sys.modules.pop("annealing", None)


@pytest.fixture(scope="module")
def results(_examples: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of the track."""
    out = tmp_path_factory.mktemp("results")
    words = (f"searcher._target_={ANNEALING}", "searcher.cooling=0.98", f"out={out}")
    return raced(TRACK, *words, entry="annealing") / "annealing"


@pytest.fixture(scope="module")
def honest(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return submit(results, contact="me@example.org", tuned_on="none", out=tmp_path_factory.mktemp("submissions"))


@pytest.fixture
def changed(honest: Path, tmp_path: Path) -> Change:
    """Copies the honest submission, with changes to its entry and its runs."""

    def change(
        entry: Callable[[dict[str, Any]], object] = lambda entry: None,
        runs: Callable[[pd.DataFrame], pd.DataFrame | None] = lambda frame: None,
    ) -> Path:
        folder = tmp_path / "changed"
        folder.mkdir()
        content = yaml.safe_load((honest / ENTRY).read_text())
        entry(content)
        (folder / ENTRY).write_text(yaml.safe_dump(content, sort_keys=False))
        frame = pd.read_parquet(honest / RUNS)
        found = runs(frame)
        (frame if found is None else found).to_parquet(folder / RUNS, index=False)
        return folder

    return change
