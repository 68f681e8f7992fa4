"""Python in another process, and waiting for what others do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def python(*words: str, cwd: Path = ROOT, path: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """`python WORDS`, with `path` before this checkout on PYTHONPATH and other variables of the environment."""
    environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}" if path else str(ROOT)} | variables
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120, check=False)


def wait_for(there: Callable[[], object], seconds: float = 60.0) -> None:
    """Come back when something is there, or when the time is up."""
    until = time.monotonic() + seconds
    while not there() and time.monotonic() < until:
        time.sleep(0.01)
