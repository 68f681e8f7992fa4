"""The script `nasbench-ar`, against the commands that it stands for."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from nasbench_ar import METRICS, console
from nasbench_ar.system.packages import commands
from tests.processes import ROOT


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Instead of replacing this process, remember by what."""
    lines: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, line: lines.append(line[2:]))
    monkeypatch.setattr("subprocess.call", lambda _: 0)
    return lines


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["nasbench-ar", *words])
    return console.main()


@pytest.mark.parametrize(
    ("words", "stands_for"),
    [
        (["run", "searcher=bananas"], ["experiments.run", "searcher=bananas"]),
        (["fidelity.compare", "a"], ["experiments.fidelity.compare", "a"]),
        (["datagen.run", "archs=1"], ["datagen.run", "archs=1"]),
        (["info", "digits-729"], ["nasbench_ar", "info", "digits-729"]),
        (["list", "searchers"], ["searchers"]),
        (["list", "tables"], ["nasbench_ar", "info"]),
        (["report", "--help"], ["experiments.report", "--help"]),
    ],
)
def test_what_it_stands_for(
    words: list[str], stands_for: list[str], started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, *words) == 0
    assert started == [stands_for]


def test_every_command_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch) == 0
    out = capsys.readouterr().out
    for module in (*commands("experiments"), *commands("datagen")):
        assert f"nasbench-ar {module.removeprefix('experiments.')} " in out
    assert run(monkeypatch, "list", "metrics") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(METRICS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "'rnu' is no command; did you mean run"),
        (["xyzzy"], "nasbench-ar alone lists them"),
        (["list"], "expected searchers, metrics, tables"),
        (["list", "all"], "expected searchers, metrics, tables"),
    ],
)
def test_errors(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    assert message in capsys.readouterr().err


def test_it_is_installed_and_passes_the_exit_code_on() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"nasbench-ar": "nasbench_ar.console:main"}
    line = [sys.executable, "-c", "import sys; from nasbench_ar.console import main; sys.exit(main())"]
    done = subprocess.run([*line, "query", "WRN-34-10", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: unknown metric 'nonsense'")
