"""The state of the code that computes a result: commit and versions."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from nasbench_ar.version import __version__

ROOT = Path(__file__).resolve().parents[2]  # where the packages stand


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, `-dirty` when changed; None outside one."""
    if not (ROOT / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of Python, this toolkit and the given distributions, as far as they are installed."""
    found = {"python": platform.python_version(), "nasbench-ar": __version__}
    for library in libraries:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()
