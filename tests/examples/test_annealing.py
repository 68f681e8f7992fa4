"""The example that users copy."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(EXAMPLES))

from annealing import SimulatedAnnealing  # noqa: E402

from searchers.testing import SearcherConformance  # noqa: E402


class TestSimulatedAnnealing(SearcherConformance):
    searcher = SimulatedAnnealing
    never_repeats = True


def test_runs_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.run", "searcher._target_=annealing.SimulatedAnnealing"]
    command += ["searcher.cooling=0.9", "runs=2", "queries=20", "jobs=1", f"out={tmp_path}", "table=nares-figures"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLES, check=False)
    assert done.returncode == 0, done.stderr
    assert "SimulatedAnnealing: 2 runs of 20 queries" in done.stdout
    assert (tmp_path / "nares-figures/SimulatedAnnealing/summary.csv").exists()


@pytest.mark.slow
def test_it_ends_where_the_readme_says(tmp_path: Path) -> None:
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if "annealing.SimulatedAnnealing" in line]
    words = line.split()[line.split().index("experiments.run") + 1 :]
    command = [sys.executable, "-m", "experiments.run", *words, f"out={tmp_path}", "table=nares-figures"]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{EXAMPLES}{os.pathsep}{ROOT}"})
    with np.load(tmp_path / "nares-figures/SimulatedAnnealing/trajectories.npz") as pack:
        best = np.nanmax(pack["scores"], axis=1)
    said = f"{best.mean():.2f} ± {best.std(ddof=1):.2f} on the objective, {len(best)} runs of 500 queries"
    assert said in (ROOT / "README.md").read_text()


def test_twenty_lines() -> None:
    source = (EXAMPLES / "annealing.py").read_text()
    body = source[source.index("class SimulatedAnnealing") :].splitlines()
    assert len([line for line in body if line.strip()]) <= 20
