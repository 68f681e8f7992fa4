"""A command with two workers that may kill itself while they start: `python -m <this> <engine> <folder> [<moment>]`."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joblib.externals.loky import process_executor
from joblib.externals.loky.backend import popen_loky_posix

from nasbench_ar.system.engine import Engine
from tests.nasbench_ar.system.engine_tasks import log_start

MOMENTS: dict[str, tuple[Any, str, int]] = {  # at the end of which call of what
    "a worker is launched": (popen_loky_posix.Popen, "__init__", 1),
    "all workers are launched": (popen_loky_posix.Popen, "__init__", 2),
    "a task is handed in": (process_executor.ProcessPoolExecutor, "submit", 1),
}


def kill_after(owner: Any, name: str, count: int) -> None:
    whole: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def deadly(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        result = whole(*arguments, **more)
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


if __name__ == "__main__":
    engine, folder, *moment = sys.argv[1:]
    for name in moment:
        kill_after(*MOMENTS[name])
    list(Engine(engine, jobs=2).run(log_start, [(number, Path(folder), 600.0) for number in range(9)]))
