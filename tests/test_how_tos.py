"""The how-tos, read like notebooks: every block runs, in order, and shows what it says."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nasbench_ar.library import HOME_VARIABLE
from nasbench_ar.system.command import run_command
from tests.experiments.conftest import _quick_pictures  # noqa: F401
from tests.processes import ROOT

BLOCK = re.compile(r"(<!-- not run: [^>]*-->\n\n)?```(\w+)\n(.*?)```", re.DOTALL)
SHOWN = re.compile(r"#\s*->\s*(.*)$")
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(text: str) -> Iterator[tuple[str, str, str | None]]:
    """(language, code, printed text or None) of each block that is to be run."""
    found = [match.groups() for match in BLOCK.finditer(text)]
    for position, (skipped, language, code) in enumerate(found):
        following = found[position + 1] if position + 1 < len(found) else (None, "", "")
        if not skipped and language != "text":
            yield language, code, following[2] if following[1] == "text" else None


def run_python(code: str, namespace: dict[str, Any]) -> str:
    """What a block prints; a line's value is compared with the `# ->` at its end or on the next line."""
    lines = code.splitlines()
    printed = io.StringIO()
    checked = 0
    with contextlib.redirect_stdout(printed):
        for statement in ast.parse(code).body:
            module = ast.Module([statement], [])
            if not isinstance(statement, ast.Expr):
                exec(compile(module, "how-to", "exec"), namespace)
                continue
            value = eval(compile(ast.Expression(statement.value), "how-to", "eval"), namespace)
            end = statement.end_lineno or 0
            expected = SHOWN.search(lines[end - 1]) or (
                SHOWN.match(lines[end]) if end < len(lines) and lines[end].startswith("#") else None
            )
            if expected:
                assert shows(value, expected[1]), f"{lines[end - 1]}\ngives {value!r}"
                checked += 1
    assert checked == sum(bool(SHOWN.search(line)) for line in lines), f"a `# ->` belongs to no value in\n{code}"
    return printed.getvalue()


def shows(value: Any, expected: str) -> bool:
    """Whether a value looks like this, or equals it; NumPy's numbers count as numbers."""
    if repr(value) == expected:
        return True
    with contextlib.suppress(ValueError, SyntaxError):
        return bool(value == ast.literal_eval(expected))
    return False


def run_bash(code: str, folder: Path) -> str:
    lines = code.splitlines()
    if all(line.startswith("python -m ") for line in lines):
        return "".join(map(run_module, lines))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
    script = f'python() {{ "$PYTHON" "$@"; }}\n{code}'
    done = subprocess.run(["bash", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{code}{done.stderr}"
    return done.stdout


def run_module(line: str) -> str:
    """`python -m MODULE WORDS` in this process, which has loaded most of what a command needs."""
    name, *words = shlex.split(line, comments=True)[2:]
    main = importlib.import_module(f"{name}.__main__" if name == "nasbench_ar" else name).main
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()) as said:
        code = run_command(main, words)
    assert code == 0, f"{line}\n{said.getvalue()}"
    return printed.getvalue()


def check(text: str, folder: Path) -> int:
    """Run the blocks of a document; returns how many."""
    namespace: dict[str, Any] = {}
    count = 0
    for language, code, shown in blocks(text):
        printed = run_python(code, namespace) if language == "python" else run_bash(code, folder)
        if shown is not None:
            same = doctest.OutputChecker().check_output(shown, printed, SAME)
            assert same, f"{code}prints\n{printed}"
        count += 1
    return count


@pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are for bash")
@pytest.mark.parametrize("name", ["race-a-searcher", "compare-results", "limit-macs", "own-table"])
def test_how_tos(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    assert check((ROOT / f"docs/how-to/{name}.md").read_text(encoding="utf-8"), tmp_path) > 1


@pytest.mark.parametrize(
    "wrong",
    [
        "```python\n1 + 1  # -> 3\n```",
        "```python\nprint(5)\n```\n\n```text\n6\n```",
        "```python\nx = 1  # -> 1\n```",
        "```bash\nfalse\n```",
        "```bash\necho a\n```\n\n```text\nb\n```",
        "```python\n1 / 0\n```",
    ],
)
def test_what_is_shown_wrongly_is_seen(wrong: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, ZeroDivisionError)):
        check(wrong, tmp_path)


def test_what_is_shown_rightly_passes(tmp_path: Path) -> None:
    right = "```python\nx = 2\nx, 'b'\n# -> (2, 'b')\nprint('some long line')\n```\n\n```text\nsome ...\n```\n"
    skipped = "<!-- not run: minutes -->\n\n```bash\nfalse\n```\n"
    assert check(right + skipped, tmp_path) == 1
