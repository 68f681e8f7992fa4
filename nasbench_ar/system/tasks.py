"""What both engines use: packed tasks, the count of killed workers, and notes to the user."""

from __future__ import annotations

import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from nasbench_ar.errors import EngineError
from nasbench_ar.system.extras import missing_line

T = TypeVar("T")


Task = tuple[Any, ...]


class Breaks:
    """Counts how often workers were killed in a row with no task finished in between."""

    def __init__(self, allowed: int, tasks: int) -> None:
        self.allowed = allowed
        self.tasks = tasks
        self.finished = 0
        self.in_a_row = 0

    def progress(self) -> None:
        self.finished += 1
        self.in_a_row = 0

    def another(self, how: str) -> None:
        """Count a break, and raise EngineError when it is one too many; `how` tells the user how workers ended."""
        self.in_a_row += 1
        left = f"{self.tasks - self.finished} of {self.tasks} tasks"
        if self.in_a_row > self.allowed:
            times = "once" if self.in_a_row == 1 else f"{self.in_a_row} times in a row"
            raise EngineError(
                f"workers were killed {times} without any task finished in between ({how}); {left} are unfinished. "
                "Most often memory ran out: use fewer jobs= or smaller tasks; the same command goes on from there"
            )
        note(f"a worker was killed ({how}); {left} are unfinished and submitted again")


def note(text: str) -> None:
    """Tell the user, on standard error, above progress bars if there are any."""
    from tqdm import tqdm

    tqdm.write(f"nasbench-ar: {text}", file=sys.stderr)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Delay signals to the end of the block: a pool or cluster that is half up cannot be closed.

    Threads and processes started inside never see Ctrl-C, which a terminal sends to all of
    them: this process ends its workers, in order.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda k, _: came.append(k)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    resource_tracker.ensure_running()  # its start, otherwise a worker's, would undo the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def pack(what: Any) -> bytes:
    """Pickled here, not by the engine, so that we handle the errors of unpacking."""
    import cloudpickle

    return bytes(cloudpickle.dumps(what))


def call_packed(code: bytes, task: bytes, who: Callable[[], str]) -> Any:
    """Runs in a worker, which `who` names."""
    try:
        function: Callable[..., Any] = pickle.loads(code)
        arguments: Task = pickle.loads(task)
        return function(*arguments)
    except Exception as error:
        missing = next((e for e in (error, error.__cause__) if isinstance(e, ImportError)), None)
        if missing is None:
            raise
        if isinstance(missing, ModuleNotFoundError) and (line := missing_line(who(), missing)):
            raise EngineError(line) from error
        raise EngineError(
            f"{who()}: {missing}; workers must find what a task needs: start them with its folder on PYTHONPATH"
        ) from error


def own_traceback(error: BaseException) -> str | None:
    """Of an error in a worker of loky, from the task's function on, without the frames of the pool; None of another."""
    _, begun, text = str(getattr(error.__cause__, "tb", "")).partition(f"in {call_packed.__name__}\n")
    at = text.find("  File ")
    return "Traceback of a worker (most recent call last):\n" + text[at:].rstrip('"\n') if begun and at >= 0 else None
