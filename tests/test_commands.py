"""Every command starts, prints and ends as `nasbench_ar.system.command` says."""

import contextlib
import io
import json
import os
import runpy
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TextIO

import pytest

from nasbench_ar.system.command import PACKAGES
from nasbench_ar.version import __version__
from tests.processes import ROOT, python

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def commands() -> list[str]:
    """Modules that do something when they are run."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    names = [path for path in paths if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for path in names]


each = pytest.mark.parametrize("name", commands())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASBENCH_AR_HOME", str(tmp_path / "home"))


def call(monkeypatch: pytest.MonkeyPatch, name: str, word: str, stdout: TextIO) -> tuple[int, str]:
    """As `python -m NAME WORD > stdout`, in this process: exit code and what came on standard error."""
    err = io.StringIO()
    monkeypatch.setattr(sys, "argv", [name, word])
    with warnings.catch_warnings(), contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(err):
        warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
        with pytest.raises(SystemExit) as caught:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
    assert isinstance(caught.value.code, int)
    return caught.value.code, err.getvalue()


def test_none_is_forgotten() -> None:
    known = ["nasbench_ar", "experiments.run", "experiments.fidelity", "experiments.fidelity.compare", "datagen.run"]
    assert set(known) <= set(commands())
    assert len(commands()) >= 18


@each
def test_the_version_of_the_toolkit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.StringIO()
    assert call(monkeypatch, name, "--version", stdout) == (0, "")
    assert stdout.getvalue() == f"nasbench-ar {__version__}\n"


@each
def test_help_on_a_terminal_that_knows_ascii_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="ascii")
    assert call(monkeypatch, name, "--help", stdout) == (0, "")
    assert stdout.errors == "nasbench-ar", "and what follows after the help is printed as well"
    assert len(raw.getvalue().splitlines()) > 1


@each
def test_wrong_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.StringIO()
    code, err = call(monkeypatch, name, "no\nsense=1", stdout)
    assert (code, stdout.getvalue()) == (2, "")
    *usage, last = err.splitlines()
    assert "error: " in last
    assert not usage or usage[0].startswith("usage: ")
    assert not list(Path().iterdir()), "nothing is left behind"


@each
def test_a_full_disk_below_standard_output(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w", encoding="utf-8") as stdout:
        assert call(monkeypatch, name, "--help", stdout) == (2, "error: No space left on device\n")


@each
def test_a_reader_that_goes_away(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as stdout:
        assert call(monkeypatch, name, "--help", stdout) == (141, "")


@pytest.fixture(scope="module")
def without_docstrings() -> dict[str, str]:
    """What `--help` prints under `python -OO`, in one process for all."""
    code = """
import contextlib, io, json, runpy, sys
from nasbench_ar.system.command import docstring
out = {}
for name in sys.argv[1:]:
    sys.argv[1:] = ["--help"]
    with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.suppress(SystemExit):
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    out[name] = stdout.getvalue()
print(json.dumps(out))
"""
    done = python("-OO", "-W", "ignore", "-c", code, *commands())
    assert done.returncode == 0, done.stderr
    out: dict[str, str] = json.loads(done.stdout)
    return out


@each
def test_help_without_docstrings(
    name: str, without_docstrings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = io.StringIO()
    call(monkeypatch, name, "--help", stdout)
    assert without_docstrings[name] == stdout.getvalue()


def while_numpy_loads(tmp_path: Path, code: str) -> dict[str, str]:
    """An environment in which `code` runs instead of the first large import."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "numpy.py").write_text(code)
    return ENVIRONMENT | {"PYTHONPATH": f"{modules}{os.pathsep}{ROOT}"}


@each
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_interrupted_before_anything_has_loaded(name: str, tmp_path: Path) -> None:
    # A signal between two calls of sleep() is seen after the second: many short ones.
    environment = while_numpy_loads(tmp_path, "import time; print(flush=True)\nfor _ in range(6000): time.sleep(0.01)")
    number = signal.SIGTERM if name == "datagen.run" else signal.SIGINT
    options = [f"-m{name}"] if name == "datagen.plan" else ["-m", name]
    with subprocess.Popen(
        [sys.executable, *options, "table=x", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "terminated\n" if number == signal.SIGTERM else "interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("before", "expected"),
    [("trap '' INT;", "signal.getsignal(signal.SIGINT) is signal.SIG_IGN"), ("exec >&-;", "sys.stdout is not None")],
)
def test_what_a_shell_has_set_before_anything_has_loaded(tmp_path: Path, before: str, expected: str) -> None:
    """Ctrl-C is ignored in the background; a file that is opened must not become standard output."""
    environment = while_numpy_loads(tmp_path, f"import os, signal, sys; os._exit(0 if {expected} else 1)")
    call = ["sh", "-c", f'{before} exec "$@"', "sh", sys.executable, "-m", "experiments.run"]
    assert subprocess.run(call, env=environment, timeout=60, check=False).returncode == 0


def test_other_programs_keep_their_signals(tmp_path: Path) -> None:
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text("import nasbench_ar")
    (package / "__main__.py").write_text("import signal; print(signal.getsignal(signal.SIGINT).__name__)")
    done = python("-m", "theirs", "experiments.run", path=str(tmp_path))
    assert (done.stdout, done.stderr) == ("default_int_handler\n", "")
