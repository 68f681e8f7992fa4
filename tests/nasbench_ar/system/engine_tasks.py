"""What the engine's tests have workers do; in a module of its own, since workers import it."""

import os
import signal
import time
from pathlib import Path


def square(number: int) -> int:
    return number * number


def fail_at(number: int, bad: int) -> int:
    if number == bad:
        raise ValueError(f"{number} is bad")
    return number


def log_start(number: int, folder: Path, seconds: float = 0.02) -> int:
    """Leaves a file named by the nanosecond in which it began."""
    (folder / f"{time.time_ns()}-{number}-{os.getpid()}").touch()
    time.sleep(seconds)
    return number


def die_at_first(number: int, folder: Path, victims: frozenset[int], times: int = 1) -> int:
    """A process is killed by the first calls for each victim."""
    marks = [folder / f"died-{number}-{k}" for k in range(times)]
    if number in victims and (unused := [mark for mark in marks if not mark.exists()]):
        unused[0].touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number


def die_late_at_first(number: int, folder: Path) -> int:
    """The first call for number 1 kills its process when number 0 has long been done; returns where it ran."""
    if number and not (folder / "died").exists():
        (folder / "died").touch()
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def process_id(number: int) -> int:
    return os.getpid()


def interrupt_oneself(number: int) -> bool:
    """Whether Ctrl-C, which a terminal sends to workers too, does nothing."""
    os.kill(os.getpid(), signal.SIGINT)
    return signal.SIGINT in signal.sigpending()
