"""Write the pages of the reference: public names from their docstrings, commands from their `--help`.

    python scripts/write_reference.py

The pages go to `docs/reference/`; `docs/conf.py` has them written when the site is built.
Sources are parsed, not imported; commands say their help without PyTorch.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

from nasbench_ar.system.packages import commands

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
PACKAGES = ("nasbench_ar", "searchers", "experiments", "datagen")
# What a page has beside the names that its package exports: modules for users, and names where only these are.
PAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "nasbench_ar": {
        "nasbench_ar": (),
        "nasbench_ar.pareto": (),
        "nasbench_ar.masks": ("Masks", "load_masks"),
    },
    "searchers": {
        "searchers": (),
        "searchers.testing": ("SearcherConformance", "check_searcher"),
        "searchers.fidelity": (),
        "searchers.fidelity.testing": ("FidelityConformance", "check_fidelity_searcher"),
    },
    "experiments": {
        "experiments": (),
        "experiments.experiment": ("FinishedRace",),
        "experiments.results.comparison": (),
        "experiments.results.standings": ("Course", "Standing", "Pair", "Ranking", "Profile"),
        "experiments.plots.comparison": ("draw_anytime", "draw_regret", "draw_ecdf", "draw_profile", "draw_ranks"),
        "experiments.statistics.intervals": (),
        "experiments.statistics.significance": (),
        "experiments.statistics.effects": (),
        "experiments.statistics.power": (),
        "experiments.statistics.ranks": (),
        "experiments.statistics.additive": (),
        "experiments.analysis.resampling": ("Resampling", "resample", "selection_regret", "standard_error"),
        "experiments.analysis.table_data": (),
        "experiments.analysis.catalogue": ("FIGURES",),
    },
    "datagen": {
        "datagen": (),
        "datagen.training.weights": ("load_network",),
        "datagen.robustbench": ("model_info",),
        "datagen.network.model": ("WideResNet",),
        "datagen.planning.memory": ("MemorySettings", "MemoryEstimate", "estimate_memory"),
    },
}
EXPORTING = ("nasbench_ar", "searchers", "searchers.fidelity", "experiments")  # by `__all__`
LOADED_LATE = {"experiments.race": "experiments.experiment.race"}  # exported by a module's `__getattr__`
SECTIONS = {"parameters": "Arguments", "attributes": "Attributes", "returns": "Returns", "yields": "Yields"}
Item = Any  # a class, function, attribute or module of griffe, whose types do not tell them apart


def parse() -> dict[str, griffe.Module]:
    loader = griffe.GriffeLoader(search_paths=[ROOT], docstring_parser=griffe.Parser.google, allow_inspection=False)
    for package in PACKAGES:
        loader.load(package)
    loader.resolve_aliases()
    return {name: loader.modules_collection[name] for name in PACKAGES}


def names_of(module: Item, chosen: tuple[str, ...]) -> list[str]:
    """What a module exports, or defines and documents."""
    if chosen or module.exports is not None:
        return list(chosen) or [str(name) for name in module.exports or ()]
    own = {name: member for name, member in module.members.items() if name[0] != "_" and not member.is_alias}
    return [name for name, m in own.items() if m.has_docstring and (m.is_class or m.is_function)]


def find(modules: dict[str, griffe.Module], path: str) -> Item:
    path = LOADED_LATE.get(path, path)
    package, _, rest = path.partition(".")
    found: Item = modules[package]
    for part in filter(None, rest.split(".")):
        found = found.members[part]
    return found.final_target if isinstance(found, griffe.Alias) else found


class Reference:
    """All pages, and where each name stands."""

    def __init__(self) -> None:
        self._modules = parse()
        self.names: dict[str, Item] = {}  # as a user imports it
        self._labels: dict[str, str] = {}  # path of the definition or of the export, or bare name -> label
        for contents in PAGES.values():
            for module, chosen in contents.items():
                for name in names_of(find(self._modules, module), chosen):
                    item = self.names[f"{module}.{name}"] = find(self._modules, f"{module}.{name}")
                    label = f"{module}.{name}"
                    for spelling in (item.path, label, *([name] if module in EXPORTING or name[0].isupper() else [])):
                        self._labels.setdefault(spelling, label)

    def page(self, title: str) -> str:
        out = [f"# {escape(title)}\n"]
        for module, chosen in PAGES[title].items():
            found = find(self._modules, module)
            if module != title:
                out.append(f"## {escape(module)}\n")
            out.append(self._text(found.docstring.value if found.docstring else ""))
            for name in names_of(found, chosen):
                item = self.names[f"{module}.{name}"]
                label = self._labels[item.path]
                if label == f"{module}.{name}":  # and not that of another module that exports it too
                    out += self._described(label, item, 2 if module == title else 3)
        return "\n".join(out)

    def _described(self, label: str, item: Item, level: int) -> Iterator[str]:
        kind = item.kind.value
        yield f"({label})=\n{'#' * level} {escape(item.name)}\n"
        yield f"```python\n{declaration(item)}\n```\n"
        if kind == "class":
            bases = [self._labels.get(base.canonical_path) for base in item.bases if isinstance(base, griffe.Expr)]
            if linked := [f"[`{path.rpartition('.')[2]}`](#{path})" for path in bases if path]:
                yield f"A {', '.join(linked)}.\n"
        yield from self._docstring(item)
        if kind == "class":
            for member in self._members(item):
                yield from self._described(f"{label}.{member.name}", member, level + 1)

    def _members(self, item: Item) -> list[Item]:
        """Documented methods and properties, also of bases that are on no page."""
        found: dict[str, Item] = {}
        for base in (item, *(b for b in item.mro() if b.path not in self._labels)):
            for name, member in base.members.items():
                if name[0] != "_" and member.has_docstring and not member.is_alias:
                    found.setdefault(name, member)
        return list(found.values())

    def _docstring(self, item: Item) -> Iterator[str]:
        for section in item.docstring.parsed if item.docstring else ():
            kind = section.kind.value
            if kind == "text":
                yield self._text(section.value)
            elif kind == "raises":
                yield "**Raises**\n"
                for error in section.value:
                    name = str(error.annotation)
                    shown = f"[`{name}`](#{self._labels[name]})" if name in self._labels else f"`{name}`"
                    yield f"- {shown}: {self._inline(error.description)}"
                yield ""
            elif kind in SECTIONS:
                yield f"**{SECTIONS[kind]}**\n"
                for entry in section.value:
                    name = f"`{entry.name}`: " if entry.name else ""
                    yield f"- {name}{self._inline(entry.description)}"
                yield ""
            else:
                raise ValueError(f"{item.path}: a docstring section of kind {kind}, which this script does not know")

    def _text(self, text: str) -> str:
        return self._linked(text.replace("``", "`")) + "\n"

    def _inline(self, text: str) -> str:
        return self._linked(" ".join(text.split()))

    def _linked(self, text: str) -> str:
        """Names in backticks that have a place here lead to it."""

        def link(match: re.Match[str]) -> str:
            label = self._labels.get(match[1])
            return f"[{match[0]}](#{label})" if label else match[0]

        def linked(line: str) -> str:
            return line if line.startswith("    ") else to_pages(re.sub(r"`([\w.]+)`", link, line))

        return "\n".join(map(linked, text.splitlines()))


def escape(name: str) -> str:
    return name.replace("_", "\\_")


def to_pages(line: str) -> str:
    """Names of the documentation's files lead to them."""
    return re.sub(r"`?\bdocs/([\w-]+\.md)`?", r"[docs/\1](../\1)", line)


def declaration(item: Item) -> str:
    """How it is called, or what it is."""
    if item.is_class:
        made = item.members.get("__new__", item)
        return wrapped(f"class {made.signature(return_type=False, name=item.name) or item.name}")
    if item.is_function:
        before = "".join(f"@{d.value}\n" for d in item.decorators if str(d.value) in ("classmethod", "staticmethod"))
        return before + wrapped(item.signature())
    kind = f": {item.annotation}" if item.annotation else ""
    value = "" if item.value is None or len(str(item.value)) > 80 else f" = {item.value}"
    return f"{item.name}{kind}{value}"


def wrapped(signature: str, width: int = 88) -> str:
    """A line for each parameter, where one line is too short for all."""
    if len(signature) <= width:
        return signature
    head, depth = "", 0
    for place, sign in enumerate(signature):
        depth += (sign in "([{") - (sign in ")]}")
        if (sign == "(" and depth == 1) or (sign == "," and depth == 1):
            head += f"{sign}\n   " + (" " if sign == "(" else "")
        elif sign == ")" and depth == 0:
            return f"{head},\n{signature[place:]}"
        else:
            head += sign
    raise ValueError(f"{signature}: brackets do not close")


def helps(words: list[str]) -> dict[str, str]:
    """What `python -m WORDS --help` prints, on a machine that has the embedded tables only."""
    code = """
import contextlib, io, json, runpy, sys, warnings
warnings.simplefilter("ignore")
sys.modules["torch"] = None
out = {}
for command in sys.argv[1:]:
    name, *words = command.split()
    sys.argv = [name, *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.suppress(SystemExit):
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    out[command] = stdout.getvalue()
print(json.dumps(out))
"""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NASBENCH_AR_HOME": home, "COLUMNS": "100"}
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the commands did not say their help:\n{done.stderr}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def commands_page() -> str:
    found = helps([*PACKAGES, *(name for package in PACKAGES for name in commands(package))])
    tables = [f"nasbench_ar {word}" for word in re.findall(r"^    (\w+) ", found["nasbench_ar"], re.MULTILINE)]
    found |= helps(tables)
    out = [
        "# Commands\n\nEvery command as its `--help` has it, with the embedded tables at hand. `--version` prints the"
        " version; [experiments.md](../experiments.md#how-commands-end) has the exit codes.\n"
    ]
    for name in sorted(found):
        plain = name.startswith("nasbench_ar")
        text = f"```text\n{found[name].strip()}\n```\n" if plain else laid_out(found[name])
        out.append(f"## python -m {escape(name)}\n\n{text}")
    return "\n".join(out)


ROW = re.compile(r"  (?P<first>\S+=\S*|\w[\w ]*:|\S.*?(?=  ))(?: +(?P<rest>\S.*))?")


def laid_out(text: str) -> str:
    """The help of a command as Markdown: `  key=default  meaning` is a row, what has four spaces before it is code."""
    out: list[str] = []
    rows: list[list[str]] = []

    def end_table() -> None:
        if rows:
            keys = all("=" in first for first, _ in rows)
            out.append("\n| key | default | |\n|---|---|---|" if keys else "\n| | |\n|---|---|")
            for first, rest in rows:
                key, _, value = first.partition("=")
                cells = [f"`{cell}`" if cell else "" for cell in ((key, value) if keys else (first.rstrip(":"),))]
                row = " | ".join(cell.replace("|", "\\|") for cell in (*cells, rest.replace("*", "\\*")))
                out.append(f"| {row} |")
            out.append("")
            rows.clear()

    for line in text.strip().splitlines():
        indent = len(line) - len(line.lstrip())
        if rows and indent > 4:
            rows[-1][1] += f" {line.strip()}"
        elif match := ROW.fullmatch(line):
            rows.append([match["first"], match["rest"] or ""])
        else:
            end_table()
            code = f"    {line}" if line.startswith("usage: ") else line
            out.append(to_pages(code))
    end_table()
    return "\n".join(out) + "\n"


def write_pages() -> None:
    reference = Reference()
    pages = {title: reference.page(title) for title in PAGES} | {"commands": commands_page()}
    REFERENCE.mkdir(exist_ok=True)
    for title, text in pages.items():
        path = REFERENCE / f"{title}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # or Sphinx would read it again
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages()
