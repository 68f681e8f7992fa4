"""The pages that the documentation site adds to the repository's own, and its contents."""

import importlib
import re
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from nasbench_ar.system.key_values import known_keys
from tests.processes import ROOT
from tests.test_commands import commands

pytest.importorskip("griffe", reason="needs the extra docs")
from scripts import write_reference
from scripts.write_reference import EXPORTING, PAGES, Reference, commands_page, laid_out, wrapped

KEYS = {
    "experiments.run": "experiments.races.config.RunConfig",
    "datagen.run": "datagen.config.RunConfig",
}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def page_of_commands() -> str:
    return commands_page()


@pytest.mark.parametrize("module", EXPORTING)
def test_every_public_name_is_described(module: str, reference: Reference) -> None:
    text = reference.page(module.partition(".")[0])
    for name in importlib.import_module(module).__all__:
        described = re.search(rf"^\({re.escape(module)}\.{name}[\w-]*\)=\n#+ .*\n\n```python\n", text, re.MULTILINE)
        assert described, f"{module}.{name}"
        assert reference.names[f"{module}.{name}"].has_docstring, f"{module}.{name} has no docstring"


def test_what_the_documentation_imports_is_in_the_reference(reference: Reference) -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/how-to").glob("*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in documents)
    imports = re.findall(r"^from ((?:nasbench_ar|searchers|experiments|datagen)\S*) import (.*)$", text, re.MULTILINE)
    assert len(imports) > 10
    for module, names in imports:
        for name in names.split(", "):
            assert f"{module}.{name}" in reference.names


def test_shapes_units_and_errors_come_through(reference: Reference) -> None:
    text = reference.page("nasbench_ar")
    assert 'A float; with `seed="all"`, a (seeds,) float64 array by ascending seed.' in text
    assert "- [`SpaceError`](#nasbench_ar.SpaceError): on anything but" in text
    assert "[`Oracle`](#nasbench_ar.Oracle)" in text


def test_every_command_with_its_keys(page_of_commands: str) -> None:
    for name in commands():
        assert f"## python -m {write_reference.escape(name)}\n" in page_of_commands
    for name, path in KEYS.items():
        section = page_of_commands.partition(f"## python -m {name}\n")[2].partition("\n## ")[0]
        module, _, schema = path.rpartition(".")
        config = getattr(importlib.import_module(module), schema)
        assert is_dataclass(config)
        listed = set(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE))
        assert set(known_keys(config)) - listed == set()


def test_help_as_a_page() -> None:
    keys = "  long.key=[1,2] is\n                 long\n  b=             a|b\n"
    assert laid_out(f"What.\n\n    python -m x\n\nkeys:\n{keys}\nSee docs/a.md.\n") == (
        "What.\n\n    python -m x\n\nkeys:\n\n| key | default | |\n|---|---|---|\n| `long.key` | `[1,2]` | is long |\n"
        "| `b` |  | a\\|b |\n\n\nSee [docs/a.md](../a.md).\n"
    )


def test_long_signatures() -> None:
    assert wrapped("f(a: dict[str, int] = {}, *, b=(1, 2)) -> int", width=20) == (
        "f(\n    a: dict[str, int] = {},\n    *,\n    b=(1, 2),\n) -> int"
    )
    assert wrapped("f(a)") == "f(a)"


def test_the_contents_have_every_page() -> None:
    listed = re.findall(r"^[\w/-]+$", (ROOT / "docs/navigation.md").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    written = {f"docs/reference/{title}" for title in (*PAGES, "commands")}
    pages = {page for page in pages if Path(page).parent.name != "reference"} - {"docs/navigation"} | written
    assert len(listed) == len(set(listed))
    assert {page for page in listed if page.startswith("docs/")} == pages, "docs/navigation.md lacks a page"
    assert {page for page in listed if "/" not in page} == {path.stem for path in ROOT.glob("*.md")} - {"README"}
