"""What a result depends on: versions, commit, and a digest of the searcher's source."""

from __future__ import annotations

import ast
import hashlib
import sys
from pathlib import Path
from typing import Any

import searchers
from nasbench_ar.system import versions
from nasbench_ar.system.versions import git_commit as git_commit

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "joblib", "matplotlib", "torch")


def library_versions() -> dict[str, str]:
    return versions.versions(_LIBRARIES)


def code() -> dict[str, Any]:
    return {"git_commit": git_commit(), "versions": library_versions()}


def source_digest(cls: type) -> str:
    """Hex SHA-256 over the modules of a class, its bases, and what they import of `searchers`, and so on.

    Imports in functions count too.  A change of another searcher leaves stored runs valid.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_sources(cls).items()):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources(cls: type) -> dict[str, Path]:
    modules = [base.__module__ for base in cls.__mro__ if base.__module__ not in ("abc", "builtins", "typing")]
    found: dict[str, Path] = {}
    while modules:
        name = modules.pop()
        path = _searchers_file(name) or getattr(sys.modules.get(name), "__file__", None)
        if name in found or path is None:
            continue
        found[name] = Path(path)
        if found[name].suffix == ".py":
            modules += filter(_searchers_file, _imports(ast.parse(found[name].read_bytes())))
    return found


def _imports(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _searchers_file(module: str) -> Path | None:
    if module.split(".")[0] != "searchers":
        return None
    path = Path(searchers.__file__).parent.joinpath(*module.split(".")[1:])
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)
