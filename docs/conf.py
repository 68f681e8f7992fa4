"""The documentation site: `sphinx-build -W -c docs . build/site`, then open build/site/index.html.

The whole repository is the source, so that README and its links are pages and links of the site as they stand.
`docs/navigation.md` says what is where.
"""

import re
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from nasbench_ar.version import __version__  # noqa: E402
from scripts.write_reference import write_pages  # noqa: E402

project = "NASBench-AR"
author = "The NASBench-AR developers"
version = release = __version__
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = ["docs/navigation.md", ".*", "build", "results", "mutants", "**/__pycache__"]
myst_heading_anchors = 4
nitpicky = True
smartquotes = False  # which make one dash of the two of --help

html_theme = "furo"
html_title = f"NASBench-AR {version}"
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_show_sphinx = False

LOADED = re.compile(
    r"""<(script|img|iframe|link)\b[^>]*\b(src|href)=["']?(https?:)?//|(url\(|@import)\s*["']?(https?:)?//"""
)


def write_reference(app: Sphinx) -> None:
    write_pages()


def add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """README's contents stand in a file of their own, since GitHub would print them."""
    if name == root_doc:
        source[0] += (DOCS / "navigation.md").read_text(encoding="utf-8")


def finish(app: Sphinx, error: Exception | None) -> None:
    """README is also what a server shows for the folder; a page that loads something from elsewhere is an error."""
    if error is None:
        shutil.copyfile(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")
        for path in (path for end in ("html", "css") for path in Path(app.outdir).rglob(f"*.{end}")):
            if found := LOADED.search(path.read_text(encoding="utf-8")):
                raise ExtensionError(f"{path} loads something from elsewhere: {found[0]}")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", write_reference)
    app.connect("source-read", add_navigation)
    app.connect("build-finished", finish)
