"""Which package may import which: nasbench_ar <- searchers <- experiments; datagen stands beside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "nasbench_ar": {"searchers", "experiments", "datagen", "torch", "torchvision", "sklearn"},
    "searchers": {"experiments", "datagen", "pandas", "matplotlib", "hydra"},
    "experiments": {"datagen"},
    "datagen": {"searchers", "experiments"},
}
HEAVY = {
    "torch",
    "torchvision",
    "pandas",
    "sklearn",
    "dask",
    "distributed",
}  # to be imported where needed, not when a module loads


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
    if package in ("nasbench_ar", "searchers") and "published" not in path.parts:
        assert not imported(tree, top_only=True) & HEAVY


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_global_generator_is_seeded(path: Path) -> None:
    if path == ROOT / "searchers/testing.py":
        return  # seeds them to show that searchers do not care, and restores them
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"np.random.seed", "numpy.random.seed", "random.seed", "torch.manual_seed"}
