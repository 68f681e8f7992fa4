"""Ctrl-C at any moment is one line and exit code 130."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A Python that finds modules in `folder` first."""
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("nasbench_ar", "numpy"),
        ("nasbench_ar", "argparse"),
        ("experiments.run", "numpy"),
        ("experiments.run", "hydra"),
        ("experiments.fidelity", "hydra"),
        ("datagen.run", "hydra"),
        ("datagen.export", "numpy"),
    ],
)
def test_while_modules_load(command: str, module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt")
    stopped = run(tmp_path, "-m", command)
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (130, "", "interrupted\n")


def test_other_failures_keep_their_traceback(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("1 / 0")
    failed = run(tmp_path, "-m", "nasbench_ar")
    assert failed.returncode == 1
    assert failed.stderr.startswith("Traceback")
    assert "ZeroDivisionError" in failed.stderr


def test_programs_of_others_keep_their_own_way(tmp_path: Path) -> None:
    said = run(tmp_path, "-c", "import nasbench_ar, sys; print(sys.excepthook is sys.__excepthook__)")
    assert said.stdout == "True\n", said.stderr
