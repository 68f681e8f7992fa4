"""What a result depends on: versions, commit, and a digest of the searcher's source."""

from __future__ import annotations

import ast
import hashlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import searchers
from nasbench_ar.system import versions
from nasbench_ar.system.tasks import pack
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
    for part in _of_main(cls, set()):
        digest.update(part + b"\0")
    return digest.hexdigest()


def _of_main(thing: Any, seen: set[int]) -> Iterator[bytes]:
    """What a script or notebook contributes to a class: its code, and the functions, classes and values that it names.

    Other lines of a script decide nothing of what a searcher proposes; a notebook has no file.
    """
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, type):
        if thing.__module__ == "__main__":
            yield thing.__qualname__.encode()
            for name, value in sorted(vars(thing).items()):
                if name != "_abc_impl" and (not name.startswith("__") or callable(value)):
                    yield name.encode()
                    yield from _of_main(value, seen)
            for base in thing.__bases__:
                yield from _of_main(base, seen)
    elif isinstance(thing, (classmethod, staticmethod)):
        yield from _of_main(thing.__func__, seen)
    elif isinstance(thing, property):
        yield from _of_main(thing.fget, seen)
    elif isinstance(thing, types.FunctionType):
        if thing.__module__ == "__main__":
            yield from _of_main((thing.__defaults__, thing.__kwdefaults__), seen)
            for code in _codes(thing.__code__):
                yield code.co_code
                yield from map(_constant, code.co_consts)
                for name in code.co_names:
                    yield name.encode()
                    if name in thing.__globals__:
                        yield from _of_main(thing.__globals__[name], seen)
    elif not isinstance(thing, (types.ModuleType, types.BuiltinFunctionType)):
        try:
            yield pack(thing)
        except Exception:  # what no worker could get either, an open file for instance
            yield type(thing).__qualname__.encode()


def _constant(value: Any) -> bytes:
    """A constant of a function; sets by their sorted elements, since their order differs from process to process."""
    if isinstance(value, types.CodeType):
        return b""
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value).encode()


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _sources(cls: type) -> dict[str, Path]:
    modules = [
        base.__module__ for base in cls.__mro__ if base.__module__ not in ("abc", "builtins", "typing", "__main__")
    ]
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
