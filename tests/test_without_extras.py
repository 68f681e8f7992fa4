"""The commands where none of the optional libraries is installed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from nasbench_ar.system.extras import EXTRAS
from nasbench_ar.system.packages import commands
from tests import processes

HIDE = f"""
import sys

class Hide:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {sorted(EXTRAS)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide)
"""
HELP = """
import contextlib, io, json, runpy, sys
out = {}
for name in sys.argv[1:]:
    sys.argv[1:] = ["--help"]
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            out[name] = end.code, len(stdout.getvalue().splitlines())
print(json.dumps(out))
"""


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    (modules / "sitecustomize.py").write_text(HIDE)
    return processes.python(*words, cwd=folder, path=str(modules), NASBENCH_AR_HOME=str(folder / "home"))


def test_help_of_every_command(tmp_path: Path) -> None:
    names = ["nasbench_ar", "searchers", "experiments", "datagen", *commands("experiments"), *commands("datagen")]
    done = python(tmp_path, "-W", "ignore", "-c", HELP, *names)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == names
    assert all(code == 0 and lines > 1 for code, lines in found.values()), found


def test_a_search_and_its_comparison(tmp_path: Path) -> None:
    for name in ("bananas", "random_search"):
        words = (f"searcher={name}", "runs=2", "queries=30", "table=nares-figures")
        done = python(tmp_path, "-m", "experiments.run", *words)
        assert done.returncode == 0, done.stderr
    folders = ("results/nares-figures/bananas", "results/nares-figures/random_search")
    done = python(tmp_path, "-m", "experiments.compare", *folders)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "needs", "library", "extra"),
    [
        ("datagen.run archs=1", "python -m datagen.run", "torch", "datagen"),
        ("datagen.run archs=1 profile=digits jobs=2", "python -m datagen.run", "torch", "datagen"),
        ("nasbench_ar export nares-figures x.parquet", "Parquet", "pyarrow", "parquet"),
        ("experiments.report", "python -m experiments.report", "plotly", "report"),
        ("experiments.submit x", "python -m experiments.submit", "pyarrow", "parquet"),
        ("experiments.leaderboard check x", "python -m experiments.leaderboard", "pyarrow", "parquet"),
        ("experiments.run runs=1 searcher=optuna", "searcher=optuna", "optuna", "optuna"),
        ("experiments.run runs=1 searcher=nevergrad", "searcher=nevergrad", "nevergrad", "nevergrad"),
        ("experiments.run runs=1 searcher=smac", "searcher=smac", "smac", "smac"),
        ("experiments.run runs=1 searcher=syne_tune", "searcher=syne_tune", "syne_tune", "syne-tune"),
        ("experiments.run runs=1 searcher=published_bananas", "searcher=published_bananas", "torch", "datagen"),
        (
            "experiments.run runs=6 jobs=2 searcher=published_bananas searcher.device=cpu",
            "searcher=published_bananas",
            "torch",
            "datagen",
        ),
        ("experiments.run runs=2 searcher=random_search engine=dask", "engine=dask", "distributed", "cluster"),
        (
            "experiments.run runs=1 searcher=nsga2 queries=40 objective=val_best_pgd_acc,val_best_clean_acc,macs",
            "the hypervolume of 3 objectives",
            "moocore",
            "objectives",
        ),
    ],
)
def test_what_needs_a_library_says_what_to_install(
    command: str, needs: str, library: str, extra: str, tmp_path: Path
) -> None:
    done = python(tmp_path, "-m", *command.split())
    assert done.returncode == 2, done.stderr
    expected = f"error: {needs} needs {library}, which is not installed: pip install 'nasbench-ar[{extra}]'"
    assert done.stderr.splitlines()[-1] == expected
