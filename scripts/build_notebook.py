"""Write examples/tutorial.ipynb: docs/tutorial.md as a notebook, carried out.

    python scripts/build_notebook.py

Needs nbclient and ipykernel.  Blocks after `<!-- not run ... -->` stay text; what a block prints is left out, since the
cell above shows it.
"""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbformat import v4

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- not run: [^>]*-->\n\n)?```(\w+)\n(.*?)```\n", re.DOTALL)
SETUP = """\
# Figures appear below their cells, every value of a cell is shown, and numbers look plain.
%matplotlib inline
%config InteractiveShell.ast_node_interactivity = "all"
import numpy

numpy.set_printoptions(legacy="1.25")
"""


def notebook(text: str) -> Any:
    """The cells of a document, not carried out; its links lead from examples/ to docs/."""
    text = re.sub(r"\]\((\w[\w./-]*\.md)", r"](../docs/\1", text)
    cells: list[Any] = []
    end = 0

    def say(prose: str) -> None:
        prose = prose.replace("<!-- not run: minutes -->", "").strip()
        if prose:
            cells.append(v4.new_markdown_cell(prose))

    waiting = ""
    for match in BLOCK.finditer(text):
        skipped, language, code = match.groups()
        waiting += text[end : match.start()]
        end = match.end()
        if skipped:
            waiting += f"```{language}\n{code}```\n"
        elif language != "text":
            say(waiting)
            waiting = ""
            cells.append(v4.new_code_cell(code.strip() if language == "python" else f"%%bash\n{code.strip()}"))
    say(waiting + text[end:])
    first = next(k for k, cell in enumerate(cells) if cell.cell_type == "code")
    cells.insert(first, v4.new_code_cell(SETUP.strip()))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def carry_out(made: Any, folder: Path) -> Any:
    """The same with its outputs, without those on standard error; `folder` is the working folder."""
    python = Path(sys.executable).parent
    kept = {name: os.environ.get(name) for name in ("PATH", "PYTHONPATH", "MPLBACKEND")}
    os.environ |= {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    os.environ.pop("MPLBACKEND", None)
    try:
        where = {"metadata": {"path": str(folder)}}
        nbclient.NotebookClient(
            made, timeout=600, resources=where, record_timing=False, coalesce_streams=True
        ).execute()
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs = [found for found in cell.outputs if found.get("name") != "stderr"]
            for found in cell.outputs:
                if "text" in found:
                    found["text"] = found["text"].replace(f"{folder}/", "")
    return made


def main() -> None:
    made = notebook((ROOT / "docs/tutorial.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        carry_out(made, Path(folder))
    (ROOT / "examples/tutorial.ipynb").write_text(nbformat.writes(made) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
