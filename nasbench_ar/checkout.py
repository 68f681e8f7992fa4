"""The state of the source code that computes a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nasbench_ar


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, `-dirty` when changed; None outside one."""
    folder = Path(nasbench_ar.__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
