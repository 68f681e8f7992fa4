"""docs/tutorial.md and the notebook made of it: every cell runs, in order, and shows what the page says."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from nasbench_ar.library import HOME_VARIABLE
from tests.processes import ROOT
from tests.test_how_tos import SAME, SHOWN, blocks

TUTORIAL = ROOT / "docs" / "tutorial.md"
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"


def expected_values(code: str) -> list[str]:
    """What a block's `# ->` say, each at the end of an expression or on the next line."""
    lines = code.splitlines()
    out = []
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr):
            end = statement.end_lineno or 0
            after = lines[end] if end < len(lines) and lines[end].startswith("#") else ""
            if found := SHOWN.search(lines[end - 1]) or SHOWN.match(after):
                out.append(found[1])
    assert len(out) == sum(bool(SHOWN.search(line)) for line in lines), f"a `# ->` belongs to no value in\n{code}"
    return out


def shows(value: str, expected: str) -> bool:
    """Whether a value is printed like this, or as its equal."""
    if value == expected:
        return True
    with contextlib.suppress(ValueError, SyntaxError):
        return bool(ast.literal_eval(value) == ast.literal_eval(expected))
    return False


def check(text: str, cells: list[Any]) -> int:
    """Compare what cells show with what a document says of its blocks; returns how many blocks."""
    said = list(blocks(text))
    for (language, code, printed), cell in zip(said, cells, strict=True):
        values = [found["data"]["text/plain"] for found in cell.outputs if "data" in found]
        for expected in expected_values(code) if language == "python" else []:
            position = next((k for k, value in enumerate(values) if shows(value, expected)), None)
            assert position is not None, f"{code}shows no {expected}, but {values}"
            del values[: position + 1]
        if printed is not None:
            streams = "".join(found["text"] for found in cell.outputs if found["output_type"] == "stream")
            assert doctest.OutputChecker().check_output(printed, streams, SAME), f"{code}prints\n{streams}"
    return len(said)


@pytest.fixture(scope="module")
def builder() -> Any:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    spec = importlib.util.spec_from_file_location("build_notebook", ROOT / "scripts/build_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_cells(notebook: Any) -> list[Any]:
    """Those of the document's blocks, without the setup."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"][1:]


def html_of(notebook: Any, caption: str) -> str:
    """The table with this caption, with bars between its cells."""
    outputs = [
        found["data"]["text/html"]
        for cell in code_cells(notebook)
        for found in cell.outputs
        if "data" in found and "text/html" in found["data"]
    ]
    (html,) = [html for html in outputs if html.startswith(f"<p>{caption}")]
    return re.sub(r"\s*(<[^>]*>\s*)+", "|", html)


@pytest.mark.filterwarnings("ignore")  # of Jupyter's libraries
@pytest.mark.skipif(shutil.which("bash") is None, reason="the commands of the tutorial are for bash")
def test_the_tutorial_runs_and_shows_what_it_says(
    builder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat

    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    text = TUTORIAL.read_text(encoding="utf-8")
    made = builder.notebook(text)
    stored = nbformat.read(NOTEBOOK, as_version=4)
    sources = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (made, stored)]
    assert sources[0] == sources[1], "run python scripts/build_notebook.py"
    nbformat.validate(stored)
    builder.carry_out(made, tmp_path)
    assert (tmp_path / "results/nares-figures/comparison/ranks.png").exists()
    for one in (made, stored):
        assert check(text, code_cells(one)) > 15
        shown = [set(found["data"]) for cell in code_cells(one) for found in cell.outputs if "data" in found]
        assert sum("image/png" in kinds for kinds in shown) == 2
        assert sum("text/html" in kinds for kinds in shown) == 4, "an oracle, a table, a race and a comparison"
        assert "PGD20, max over epochs (objective)|37.96 ± " in html_of(one, "local-30 on nares-figures, 30 runs")
        compared = "|local-100|200|37.96 ± 0.27|0.840|0.803 to 0.877|0.5 %|"
        assert compared in html_of(one, "val_best_pgd_acc on nares-figures after 100 queries; best of the table 38.80")
        printed = "".join(found["text"] for cell in code_cells(one) for found in cell.outputs if "text" in found)
        assert compared in re.sub(r" *\| *", "|", printed), "as experiments.compare prints it"


def cell(builder: Any, code: str, *, printed: str = "", values: tuple[str, ...] = ()) -> Any:
    outputs = [builder.v4.new_output("stream", text=printed)] if printed else []
    outputs += [builder.v4.new_output("execute_result", data={"text/plain": value}) for value in values]
    return builder.v4.new_code_cell(code, outputs=outputs)


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ("```python\n1 + 1  # -> 3\n```", {"values": ("2",)}),
        ("```python\n1 + 1  # -> 2\n2 + 2  # -> 4\n```", {"values": ("4", "2")}),
        ("```python\nprint(5)\n```\n\n```text\n6\n```", {"printed": "5\n"}),
        ("```python\nx = 1  # -> 1\n```", {}),
        ("```bash\necho a\n```\n\n```text\nb\n```", {"printed": "a\n"}),
    ],
)
def test_what_is_shown_wrongly_is_seen(builder: Any, document: str, shown: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        check(document, [cell(builder, "", **shown)])


def test_what_is_shown_rightly_passes(builder: Any) -> None:
    right = "```python\nx = 2\nx, 'b'\n# -> (2, 'b')\nprint('some long line')\n```\n\n```text\nsome ...\n```\n"
    skipped = "<!-- not run: minutes -->\n\n```bash\nfalse\n```\n"
    assert check(right + skipped, [cell(builder, "", printed="some long line\n", values=("(2, 'b')",))]) == 1
    assert [one.cell_type for one in builder.notebook(right + skipped).cells] == ["code", "code", "markdown"]
