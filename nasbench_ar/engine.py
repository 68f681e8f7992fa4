"""One way to carry out many tasks in parallel: loky on this machine, Dask on one or on many.

    engine = Engine(jobs=4)
    for result in engine.run(function, [(1,), (2,), (3,)]):
        ...

Loky, joblib's process pool, is the default and needs nothing else.  Dask
(`pip install 'nasbench-ar[cluster]'`) adds a dashboard, and workers on other machines.
What a task computes must not depend on where it runs; then neither does a result.
"""

from __future__ import annotations

import functools
import os
import pickle
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from nasbench_ar.errors import ConfigError, EngineError, shown
from nasbench_ar.process import OPEN_FILES, require_open_files

ENGINES = ("loky", "dask")
_FILES_A_WORKER = {"loky": 1, "dask": 10}  # that the command has open, measured
_LONGEST_PLACE = 1000  # characters of an address or a path
T = TypeVar("T")
Task = tuple[Any, ...]


@dataclass(frozen=True)
class Engine:
    """Where and how many at a time.

    Attributes:
        name: `loky` or `dask`.
        jobs: processes; -1 takes every core.
        dask: address of a scheduler, `tcp://host:8786`, or the path of a scheduler file;
            None starts a local cluster of `jobs` processes with one thread each.
        restarts: times in a row that workers may be killed without any task finished in between.

    Raises:
        ConfigError: when the values do not fit together.
    """

    name: str = "loky"
    jobs: int = -1
    dask: str | None = None
    restarts: int = 3

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ConfigError(f"engine={shown(self.name)}: expected one of {', '.join(ENGINES)}")
        if self.jobs == 0:
            raise ConfigError("jobs=0: expected a number of processes, or -1 for every core")
        if self.restarts < 0:
            raise ConfigError(f"restarts={self.restarts}: expected an integer of at least 0")
        if self.dask is None:
            return
        if not self.dask.isprintable() or len(self.dask) > _LONGEST_PLACE:
            raise ConfigError(f"dask={shown(self.dask)}: neither a scheduler's address nor the path of its file")
        if self.name != "dask":
            raise ConfigError(f"dask={self.dask}: a scheduler goes with engine=dask, not with engine={self.name}")
        if not self.dask:
            raise ConfigError("dask= takes a scheduler's address or its file; leave it out for a local cluster")
        if self.jobs != -1:
            raise ConfigError(
                f"jobs={self.jobs}: the workers of the scheduler {self.dask} decide how many tasks run at a time; "
                "leave jobs out"
            )

    def processes(self) -> int:
        """How many tasks run at a time; for a scheduler elsewhere, as of now.

        Raises:
            EngineError: when the scheduler cannot be reached.
        """
        if self.dask is not None:
            from nasbench_ar import dask_engine

            return dask_engine.threads_of(self.dask)
        from joblib import effective_n_jobs

        return int(effective_n_jobs(self.jobs))

    def run(self, function: Callable[..., T], tasks: Sequence[Task]) -> Iterator[T]:
        """Call `function(*task)` for every task in worker processes; yields results as they finish.

        Tasks start in their order, so put long ones first; results come in any order.
        Nothing starts before the first result is asked for.  One task runs at a time in
        a process; with loky in its main thread, with Dask in another, and with `jobs=1`
        and loky in this process.  The task of a killed worker is carried out again, so a
        task must do no harm when done twice.  Leaving the loop early stops the workers
        of this machine; a task begun elsewhere ends by itself, unheard.

        Args:
            function: found by its name or picklable by cloudpickle, as its arguments and results.
            tasks: the arguments of each call.

        Raises:
            EngineError: workers were killed `restarts + 1` times in a row, the scheduler or what
                workers need cannot be found, or this process may open too few files for them.
            Exception: the first that a task raises; those not begun are dropped.
        """
        if not tasks:
            return iter(())
        jobs = self._at_most(tasks)
        if jobs > 1 and self.dask is None:
            each = _FILES_A_WORKER[self.name]
            require_open_files(OPEN_FILES + each * jobs, f"a command with {jobs} workers of engine={self.name}")
        if self.name == "dask":
            from nasbench_ar import dask_engine

            return dask_engine.run(function, tasks, address=self.dask, jobs=jobs, restarts=self.restarts)
        return (function(*task) for task in tasks) if jobs == 1 else _loky(function, tasks, jobs, self.restarts)

    def _at_most(self, tasks: Sequence[Task]) -> int:
        return len(tasks) if self.dask is not None else min(self.processes(), len(tasks))


class Breaks:
    """Counts how often workers were killed in a row with no task finished in between."""

    def __init__(self, allowed: int, tasks: int) -> None:
        self.allowed = allowed
        self.tasks = tasks
        self.finished = 0
        self.in_a_row = 0

    def progress(self) -> None:
        """A task has finished."""
        self.finished += 1
        self.in_a_row = 0

    def another(self, how: str) -> None:
        """Workers were killed.

        Args:
            how: which workers, or how they ended, for the user.

        Raises:
            EngineError: when it was once too often.
        """
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


def _loky(function: Callable[..., T], tasks: Sequence[Task], jobs: int, restarts: int) -> Iterator[T]:
    """A pool breaks when one of its workers is killed, and is then made anew for what is unfinished."""
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
    """While a pool is given up: joblib warns that what has not finished is dropped, as is meant.

    Its thread fails with a KeyError where it was about to hand a task on.
    """
    before, threading.excepthook = threading.excepthook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        threading.excepthook = before


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that come meanwhile are acted on at the end: a pool or cluster that is half up cannot be closed.

    Threads and processes started here never see Ctrl-C, which a terminal sends to all
    of them: workers are to be ended by this process, in order.
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


def _call(path: list[str], number: int, code: bytes, task: bytes) -> tuple[int, Any]:
    """Runs in the worker, which may be older than the latest folders to import from."""
    sys.path += [folder for folder in path if folder not in sys.path]
    return number, call_packed(code, task, lambda: "a worker process")


def pack(what: Any) -> bytes:
    """As bytes, of which the unpacking is up to us, with its errors."""
    import cloudpickle

    return bytes(cloudpickle.dumps(what))


def call_packed(code: bytes, task: bytes, who: Callable[[], str]) -> Any:
    """Runs in a worker: call a packed function with its packed arguments.

    Args:
        code: the function.
        task: its arguments.
        who: names the worker.

    Raises:
        EngineError: when something that this needs cannot be imported here.
        Exception: as the function.
    """
    try:
        function: Callable[..., Any] = pickle.loads(code)
        arguments: Task = pickle.loads(task)
        return function(*arguments)
    except Exception as error:
        missing = next((e for e in (error, error.__cause__) if isinstance(e, ImportError)), None)
        if missing is None:
            raise
        raise EngineError(
            f"{who()}: {missing}; workers must find what a task needs: start them with its folder on PYTHONPATH"
        ) from error


def _end_with(parent: int) -> None:
    """Runs first in a worker: ends it when its command is killed, where loky alone would have it stay."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="nasbench-ar-parent").start()
