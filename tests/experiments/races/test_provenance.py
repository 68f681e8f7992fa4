"""What counts as the source of a searcher: the same in every process, and all that decides a proposal."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.races.provenance import source_digest

SCRIPT = """
from experiments.races.provenance import source_digest
from searchers import Searcher

FIRST = 5
SECOND = 5


def make(factor):
    def scaled(value, shift=2, *, more=3):
        return factor * value + shift + more + FIRST
    return scaled


SCALED = make(7)
WAYS = {"up": lambda value: value + 40, "all": [1, {"x", "y"}]}


class Mine(Searcher):
    names = frozenset({"a", "b", "c"})

    def _ask(self):
        if len(self.history) in {11, 12, 13} or SCALED(SECOND) < 0 or WAYS["up"](1) < 0:
            return None
        return self.sample_unseen()

    @property
    def heat(self):
        return self.scaled(1)

    @staticmethod
    def scaled(value):
        return value * 17


UNRELATED = 1
print(source_digest(Mine))
"""


def digest(folder: Path, script: str, seed: int = 0) -> str:
    (folder / "script.py").write_text(script)
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    call = [sys.executable, "script.py"]
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def digest_here(folder: Path, script: str) -> str:
    """In this process, as a script."""
    (folder / "script.py").write_text(script)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        runpy.run_path(str(folder / "script.py"), run_name="__main__")
    return said.getvalue()


def test_the_same_in_every_process_and_whatever_else_the_script_says(tmp_path: Path) -> None:
    first = digest(tmp_path, SCRIPT)
    assert [digest(tmp_path, SCRIPT, seed) for seed in (1, 2)] == [first, first]
    assert digest_here(tmp_path, SCRIPT) == first
    assert digest(tmp_path, SCRIPT.replace("UNRELATED = 1", "UNRELATED = 2\n\n\ndef unused(): ...")) == first


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FIRST = 5", "FIRST = 6"),
        ("SECOND = 5", "SECOND = 6"),
        ("shift=2", "shift=1"),
        ("more=3", "more=4"),
        ("make(7)", "make(8)"),
        ("value + 40", "value + 41"),
        ('{"x", "y"}', '{"x", "z"}'),
        ("{11, 12, 13}", "{11, 12, 14}"),
        ('"c"}', '"d"}'),
        ("value * 17", "value * 18"),
        ("scaled(1)", "scaled(2)"),
        ("value + shift", "value - shift"),
        ("class Mine(Searcher)", "class Base(Searcher):\n    def _tell(self, a, s): ...\n\n\nclass Mine(Base)"),
    ],
)
def test_what_decides_a_proposal_counts(tmp_path: Path, before: str, after: str) -> None:
    assert before in SCRIPT
    assert digest_here(tmp_path, SCRIPT.replace(before, after)) != digest_here(tmp_path, SCRIPT)


MINE = "from searchers.base import Searcher\n\n\nclass Mine(Searcher):\n    def _ask(self):\n        import "
FILES = {
    "own_search.py": f"{MINE}own_steps\n",
    "own_steps.py": "import json, numpy, nasbench_ar.grid\nimport own_parts.steps\n",
    "own_parts/__init__.py": "",
    "own_parts/search.py": f"from .steps import step\n{MINE}own_steps\n",
    "own_parts/steps.py": "from .deep import sizes\n\nstep = 1\n",
    "own_parts/deep/__init__.py": "from .. import more\n",
    "own_parts/deep/sizes.py": "",
    "own_parts/more.py": "import own_steps\n",
    "own_parts/unused.py": "",
    "nasbench_ar/grid.py": "",
    "unused.py": "",
}
UNUSED = {"own_parts/unused.py", "nasbench_ar/grid.py", "unused.py"}


@pytest.mark.parametrize("own", ["own_search", "own_parts.search"])
@pytest.mark.parametrize("installed", [False, True])
def test_modules_beside_ones_own_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, installed: bool
) -> None:
    folder = tmp_path / "site-packages" if installed else tmp_path
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    for name in [name for name in sys.modules if name.startswith("own_")]:
        monkeypatch.delitem(sys.modules, name)
    cls = importlib.import_module(own).Mine
    before, changed = source_digest(cls), set()
    for name, text in FILES.items():
        (folder / name).write_text(f"{text}# changed\n")
        if source_digest(cls) != before:
            changed.add(name)
        (folder / name).write_text(text)
    itself = own.replace(".", "/") + ".py"
    others = {name for name in FILES if not name.endswith("search.py")} - UNUSED
    assert changed == ({itself} if installed else {itself} | others)
