"""What the engine's tests have workers do; in a module of its own, since workers import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def square(number: int) -> int:
    """The result is known."""
    return number * number


def fail_at(number: int, bad: int) -> int:
    """Raises for one number."""
    if number == bad:
        raise ValueError(f"{number} is bad")
    return number


def log_start(number: int, folder: Path, seconds: float = 0.02) -> int:
    """Leaves a file named by the nanosecond in which it began."""
    (folder / f"{time.time_ns()}-{number}-{os.getpid()}").touch()
    time.sleep(seconds)
    return number


def die_once(number: int, folder: Path, victims: frozenset[int]) -> int:
    """A process is killed by the first call for each victim."""
    mark = folder / f"died-{number}"
    if number in victims and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number


def die(number: int) -> None:
    """Every call kills its process."""
    os.kill(os.getpid(), signal.SIGKILL)


def process_id(number: int) -> int:
    """Where it ran."""
    return os.getpid()
