"""The example that users copy."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from annealing import SimulatedAnnealing  # noqa: E402

from searchers.testing import SearcherConformance  # noqa: E402


class TestSimulatedAnnealing(SearcherConformance):
    searcher = SimulatedAnnealing


def test_runs_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.run", "searcher._target_=annealing.SimulatedAnnealing"]
    command += ["searcher.cooling=0.9", "runs=2", "queries=20", "jobs=1", f"out={tmp_path}", "table=nares-figures"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLES, check=False)
    assert done.returncode == 0, done.stderr
    assert "SimulatedAnnealing: 2 runs of 20 queries" in done.stdout
    assert (tmp_path / "nares-figures/SimulatedAnnealing/summary.csv").exists()


def test_twenty_lines() -> None:
    source = (EXAMPLES / "annealing.py").read_text()
    body = source[source.index("class SimulatedAnnealing") :].splitlines()
    assert len([line for line in body if line.strip()]) <= 20
