"""Many tasks in parallel: loky on this machine, Dask on one or on many.

    engine = Engine(jobs=4)
    for result in engine.run(function, [(1,), (2,), (3,)]):
        ...

Loky, joblib's process pool, is the default and needs nothing else. Dask
(`pip install 'nasbench-ar[cluster]'`) adds a dashboard and workers on other machines.
What a task computes must not depend on where it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nasbench_ar.errors import ConfigError, shown
from nasbench_ar.system.process import OPEN_FILES, require_open_files
from nasbench_ar.system.tasks import T, Task

ENGINES = ("loky", "dask")
_FILES_A_WORKER = {"loky": 1, "dask": 10}  # that the command has open, measured
_LONGEST_PLACE = 1000  # characters of an address or a path


@dataclass(frozen=True)
class Engine:
    """Where tasks run, and how many at a time.

    Attributes:
        jobs: processes; -1 takes every core.
        dask: a scheduler's address, `tcp://host:8786`, or the path of its file; None starts a local cluster.
        restarts: how often in a row workers may be killed with no task finished in between.
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
        """How many tasks run at a time; for a scheduler elsewhere, as of now."""
        if self.dask is not None:
            from nasbench_ar.system import dask_engine

            return dask_engine.threads_of(self.dask)
        if self.jobs == 1:
            return 1
        from joblib import effective_n_jobs

        return int(effective_n_jobs(self.jobs))

    def run(self, function: Callable[..., T], tasks: Sequence[Task]) -> Iterator[T]:
        """Yield `function(*task)` of every task from worker processes, in the order in which they finish.

        Tasks start in their order, so put long ones first; none starts before the first result
        is asked for. A process runs one task at a time: with loky in its main thread, with Dask
        in another, with loky and `jobs=1` in this process. The task of a killed worker runs
        again, so a task must do no harm when done twice. The first error of a task is raised,
        and tasks not yet begun are dropped. Leaving the loop early stops the workers of this
        machine; tasks begun elsewhere end by themselves.
        """
        if not tasks:
            return iter(())
        jobs = self._at_most(tasks)
        if jobs > 1 and self.dask is None:
            each = _FILES_A_WORKER[self.name]
            require_open_files(OPEN_FILES + each * jobs, f"a command with {jobs} workers of engine={self.name}")
        if self.name == "dask":
            from nasbench_ar.system import dask_engine

            return dask_engine.run(function, tasks, address=self.dask, jobs=jobs, restarts=self.restarts)
        if jobs == 1:
            return (function(*task) for task in tasks)
        from nasbench_ar.system import loky_engine

        return loky_engine.run(function, tasks, jobs, self.restarts)

    def _at_most(self, tasks: Sequence[Task]) -> int:
        return len(tasks) if self.dask is not None else min(self.processes(), len(tasks))
