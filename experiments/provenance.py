"""What a result depends on: versions, commit, and a digest of the searcher's source."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from pathlib import Path

import nasbench_ar
import searchers
from nasbench_ar.checkout import git_commit as git_commit

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "joblib", "hydra-core", "matplotlib", "torch")


def versions() -> dict[str, str]:
    """Python, this toolkit and the libraries it stands on."""
    found = {"python": platform.python_version(), "nasbench-ar": nasbench_ar.__version__}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def source_digest(cls: type) -> str:
    """Hex SHA-256 over the source that decides what a searcher proposes.

    The package `searchers` as a whole, and the module of every other base class.
    """
    folder = Path(searchers.__file__).parent
    files = sorted(folder.rglob("*.py"))
    for base in cls.__mro__:
        module = sys.modules.get(base.__module__)
        path = getattr(module, "__file__", None)
        if path and not base.__module__.startswith(("searchers.", "abc", "typing", "nasbench_ar.")):
            files.append(Path(path))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
