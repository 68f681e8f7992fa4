"""The loky half of `nasbench_ar.system.engine`: a pool of processes on this machine."""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nasbench_ar.system.tasks import Breaks, T, Task, call_packed, pack, undisturbed


def run(function: Callable[..., T], tasks: Sequence[Task], jobs: int, restarts: int) -> Iterator[T]:
    """A pool breaks when one of its workers is killed; a new pool then takes what is unfinished."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.backend import resource_tracker as loky_tracker
    from joblib.externals.loky.process_executor import TerminatedWorkerError
    from joblib.parallel import LokyBackend

    code = pack(function)
    left = dict(enumerate(tasks))
    breaks = Breaks(restarts, len(tasks))
    backend = LokyBackend()
    backend.configure = functools.partial(backend.configure, initializer=_end_with, initargs=(os.getpid(),))
    while left:
        parallel = Parallel(
            n_jobs=jobs,  # also for a single task that is left: it may kill the process that runs it
            backend=backend,
            return_as="generator_unordered",
            batch_size=1,  # a long task must not hold back one that was put beside it
            max_nbytes=None,  # no files for large arguments, which a killed command would leave behind
        )
        call = delayed(_call)
        loky_tracker.ensure_running()  # as in `undisturbed`
        results: Any = None
        try:
            with undisturbed():
                results = parallel(call(sys.path, number, code, pack(task)) for number, task in list(left.items()))
            for number, result in results:
                del left[number]
                breaks.progress()
                yield result
        except TerminatedWorkerError as error:
            exit_codes = re.search(r"\{(.*)\}", str(error))
            breaks.another(exit_codes[1] if exit_codes else "exit code unknown")
        finally:
            if results is not None:
                with _unheard():
                    results.close()


@contextmanager
def _unheard() -> Iterator[None]:
    """A pool that is given up warns of dropped tasks, and its thread may raise KeyError as it hands one on."""
    before, threading.excepthook = threading.excepthook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        threading.excepthook = before


def _call(path: list[str], number: int, code: bytes, task: bytes) -> tuple[int, Any]:
    """Runs in the worker, which may be older than the latest folders to import from."""
    sys.path += [folder for folder in path if folder not in sys.path]
    return number, call_packed(code, task, lambda: "a worker process")


def _end_with(parent: int) -> None:
    """Runs first in a worker: without it, loky's workers outlive a killed command."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="nasbench-ar-parent").start()
