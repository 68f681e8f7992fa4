"""What a result depends on: versions, commit, and a digest of the searcher's source."""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import searchers
from nasbench_ar.system import versions
from nasbench_ar.system.tasks import pack
from nasbench_ar.system.versions import git_commit as git_commit

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "joblib", "matplotlib", "torch")
_TOOLKIT = ("nasbench_ar", "searchers", "experiments", "datagen")


def library_versions() -> dict[str, str]:
    return versions.versions(_LIBRARIES)


def code() -> dict[str, Any]:
    return {"git_commit": git_commit(), "versions": library_versions()}


def source_digest(cls: type) -> str:
    """Hex SHA-256 over the modules of a class and its bases, and what they import of `searchers`, and so on.

    What they import of the folder that a user's class comes from counts too, and imports in functions.  A change of
    another searcher leaves stored runs valid.
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
    names = [
        base.__module__ for base in cls.__mro__ if base.__module__ not in ("abc", "builtins", "typing", "__main__")
    ]
    waiting = [(name, _module_file(name, ()) or _loaded_file(name)) for name in names]
    folders = {_import_folder(name, path) for name, path in waiting if path and not _is_installed(name, path)}
    found: dict[str, Path] = {}
    while waiting:
        name, path = waiting.pop()
        if name in found or path is None:
            continue
        found[name] = path
        if path.suffix == ".py":
            waiting += [(module, _module_file(module, sorted(folders))) for module in _imports(name, path)]
    return found


def _imports(name: str, path: Path) -> list[str]:
    """What a module imports, in functions too; of `from a import b`, both a and a.b, since b may be a module."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join(filter(None, [*above, node.module]))
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return names


def _module_file(module: str, folders: Iterable[Path]) -> Path | None:
    """The file of a module of `searchers`, or of one in the folders; the rest of the toolkit is of one version."""
    top = module.split(".")[0]
    if top in _TOOLKIT:
        folders = [Path(searchers.__file__).parents[1]] if top == "searchers" else []
    places = [folder.joinpath(*module.split(".")) for folder in folders if module]
    files = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return next(filter(Path.is_file, files), None)


def _loaded_file(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return None if file is None else Path(file)


def _import_folder(module: str, path: Path) -> Path:
    """The folder that a module was found in, which holds its top package."""
    return path.parents[module.count(".") + (path.name == "__init__.py")]


def _is_installed(module: str, path: Path) -> bool:
    """Whether a module is of the toolkit, of Python or of another library: versions tell those apart."""
    installed = path.is_relative_to(sysconfig.get_path("stdlib")) or {"site-packages", "dist-packages"} & {*path.parts}
    return module.split(".")[0] in _TOOLKIT or bool(installed)
