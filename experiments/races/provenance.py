"""What a result depends on: versions, commit, and a digest of the searcher's source."""

from __future__ import annotations

import ast
import hashlib
import sys
import types
from collections.abc import Iterable, Iterator
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
    for part in _of_main(cls, []):
        digest.update(part + b"\0")
    return digest.hexdigest()


def _of_main(thing: Any, seen: list[Any]) -> Iterator[bytes]:
    """What a script or notebook contributes to a class: its code, and the functions, classes and values that it names.

    Other lines of a script decide nothing of what a searcher proposes; a notebook has no file.
    """
    if isinstance(thing, (type, types.FunctionType)) and thing.__module__ != "__main__":
        return
    if isinstance(thing, (type, types.FunctionType, list, dict, set)):
        if any(thing is other for other in seen):
            return
        seen.append(thing)
    parts: Iterable[Any] = ()
    if isinstance(thing, type):
        own = {n: v for n, v in vars(thing).items() if n != "_abc_impl" and (not n.startswith("__") or callable(v))}
        parts = (thing.__qualname__, *(part for item in sorted(own.items()) for part in item), *thing.__bases__)
    elif isinstance(thing, types.FunctionType):
        cells = (cell.cell_contents for cell in thing.__closure__ or ())
        parts = (thing.__defaults__, thing.__kwdefaults__, *cells)
        for code in _codes(thing.__code__):
            named = (thing.__globals__.get(name) for name in code.co_names)
            parts = (*parts, code.co_code, code.co_consts, code.co_names, *named)
    elif isinstance(thing, (classmethod, staticmethod, property)):
        parts = (thing.fget if isinstance(thing, property) else thing.__func__,)
    elif isinstance(thing, dict):
        parts = [part for item in thing.items() for part in item]
    elif isinstance(thing, (list, tuple)):
        parts = thing
    if isinstance(thing, (set, frozenset)):  # their order differs from process to process
        yield from sorted(b"".join(_of_main(item, seen)) for item in thing)
    elif isinstance(thing, (str, bytes, int, float, complex, types.NoneType)):
        yield repr(thing).encode()
    elif parts or isinstance(thing, (list, tuple, dict)):
        yield type(thing).__name__.encode()
        for part in parts:
            yield from _of_main(part, seen)
    elif not isinstance(thing, (types.CodeType, types.ModuleType, types.BuiltinFunctionType)):
        try:
            yield pack(thing)
        except Exception:  # what no worker could get either, an open file for instance
            yield type(thing).__qualname__.encode()


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
