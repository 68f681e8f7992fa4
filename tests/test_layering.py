"""Which package, room and module may import which; no circles, lazy and type-only imports included.

Packages: nasbench_ar <- searchers <- experiments; datagen stands beside.  A room is a folder of a
package, or a module that lies beside the folders.
"""

import ast
from pathlib import Path

import pytest

from nasbench_ar.system.extras import EXTRAS
from tests.processes import ROOT

FORBIDDEN = {
    "nasbench_ar": {"searchers", "experiments", "datagen", "torch", "torchvision", "sklearn"},
    "searchers": {"experiments", "datagen", "pandas", "matplotlib", "torchvision", "sklearn"},
    "experiments": {"datagen", "torch", "torchvision", "sklearn"},
    "datagen": {"searchers", "experiments"},
}
ROOMS = {  # folders of each package, lowest first
    "nasbench_ar": ("system", "release"),
    "searchers": ("published", "fidelity"),
    "experiments": ("statistics", "races", "results", "submissions", "plots", "analysis", "fidelity", "page"),
    "datagen": ("images", "network", "attack", "store", "training", "planning", "workers"),
}
HEAVY = {"pandas", "scipy", "matplotlib", "joblib", *EXTRAS}  # to be imported where needed, not with a module
NEEDS_TORCH = {"searchers/published/batched_mlp.py", "searchers/botorch_model.py"}  # themselves imported where needed


def imported(tree: ast.AST, *, top_only: bool) -> set[str]:
    nodes = ast.iter_child_nodes(tree) if top_only else ast.walk(tree)
    out: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            out |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            out.add(node.module.split(".")[0])
    return out


def modules() -> list[Path]:
    return [path for package in FORBIDDEN for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    tree = ast.parse(path.read_text())
    assert not imported(tree, top_only=False) & FORBIDDEN[package]
    if package != "datagen" and path.relative_to(ROOT).as_posix() not in NEEDS_TORCH:
        assert not imported(tree, top_only=True) & HEAVY


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_global_generator_is_seeded(path: Path) -> None:
    if path == ROOT / "searchers/testing.py":
        return  # seeds them to show that searchers do not care, and restores them
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"np.random.seed", "numpy.random.seed", "random.seed", "torch.manual_seed"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """Modules of the house that a module imports, wherever in its source."""
    known, out = PATHS.keys(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            out |= {name if name in known else node.module for name in names}
    return (out & known) - {module_name(path)}


PATHS = {module_name(path): path for path in modules()}
GRAPH = {name: imports_of(path) for name, path in PATHS.items()}
COMMANDS = {name for name, path in PATHS.items() if '\nif __name__ == "__main__":' in path.read_text()}


def room(name: str) -> str:
    """The folder, or the module beside the folders, that a module belongs to."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 or PATHS[name].name != "__init__.py" else name


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other."""
    reach = {name: set(targets) for name, targets in graph.items()}
    for middle in graph:
        for name in graph:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    found = {frozenset(n for n in graph if n in reach[name] and name in reach[n]) for name in graph}
    return sorted(sorted(circle) for circle in found if circle)


def test_circles_are_found() -> None:
    chain = {"a": {"b"}, "b": {"c"}, "c": set(), "d": {"e"}, "e": {"d"}}
    assert circles(chain) == [["d", "e"]]
    assert circles(chain | {"c": {"a"}}) == [["a", "b", "c"], ["d", "e"]]
    assert "experiments.plots.looks" in GRAPH["experiments.plots.style"]
    assert "nasbench_ar.system.dask_engine" in GRAPH["nasbench_ar.system.engine"], "an import in a function counts"


def test_no_import_circles() -> None:
    assert not circles(GRAPH)


def test_no_circles_of_rooms() -> None:
    rooms: dict[str, set[str]] = {room(name): set() for name in GRAPH}
    for name, targets in GRAPH.items():
        rooms[room(name)] |= {room(target) for target in targets} - {room(name)}
    assert not circles(rooms)


def test_rooms_import_those_below_them() -> None:
    for package, order in ROOMS.items():
        folders = {f"{package}.{path.parent.name}" for path in (ROOT / package).glob("*/__init__.py")}
        assert {f"{package}.{name}" for name in order} == folders - {"nasbench_ar.data"}
        for level, name in enumerate(order):
            targets = {room(t) for source in GRAPH if room(source) == f"{package}.{name}" for t in GRAPH[source]}
            assert not targets & {f"{package}.{above}" for above in order[level + 1 :]}, name


def test_no_command_is_imported() -> None:
    imported_commands = {(name, target) for name, targets in GRAPH.items() for target in targets & COMMANDS}
    assert not imported_commands
