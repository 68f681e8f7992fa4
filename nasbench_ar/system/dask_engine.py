"""The Dask half of `nasbench_ar.system.engine`, on the client of `distributed`.

joblib's Dask backend does not serve: it never reports that Dask gave up a task whose workers
were killed (a `generator_unordered` then waits for ever), gives up on a scheduler without
workers after ten seconds, sizes its queue by the workers of the first moment, and leaves
submitted tasks running when the caller stops.
"""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nasbench_ar.errors import EngineError, one_line, shown
from nasbench_ar.system.extras import require
from nasbench_ar.system.tasks import Breaks, T, Task, call_packed, note, pack, undisturbed
from nasbench_ar.version import __version__

CONNECT_SECONDS = 10
PATIENCE_SECONDS = 5  # without a result, before looking whether there are workers


def run(
    function: Callable[..., T], tasks: Sequence[Task], *, address: str | None, jobs: int, restarts: int
) -> Iterator[T]:
    with ExitStack() as stack:
        client = stack.enter_context(_connected(address) if address else _local(jobs, restarts))
        note(f"Dask scheduler {client.scheduler.address}, dashboard {client.dashboard_link}")
        if address:
            _note_oddities(client)
        yield from _results(client, function, tasks, Breaks(restarts, len(tasks)))


def _note_oddities(client: Any) -> None:
    versions = client.get_versions(check=False)
    here = versions["client"]["packages"]
    for address, there in {"the scheduler": versions["scheduler"], **versions["workers"]}.items():
        packages = there["packages"] if there else {}
        other = [f"{name} {packages[name]} (here {here[name]})" for name in packages if packages[name] != here[name]]
        if other:
            note(f"other versions on {address}: {', '.join(other)}")
    most = max(client.nthreads().values(), default=1)
    if most > 1:
        note(
            f"workers with up to {most} threads: one task runs at a time in a process, so start them with --nthreads 1"
        )


def threads_of(address: str) -> int:
    """Threads of all workers that a scheduler has now, at least 1."""
    with _connected(address) as client:
        return max(1, sum(client.nthreads().values()))


def _results(client: Any, function: Callable[..., T], tasks: Sequence[Task], breaks: Breaks) -> Iterator[T]:
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    code, packed = pack(function), [pack(task) for task in tasks]
    finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
    number_of: dict[Any, int] = {}

    def submit(numbers: Sequence[int]) -> None:
        # In one graph and one group, whose tasks the scheduler keeps in a queue of its own, in this
        # order: a worker that dies then takes no waiting task with it.
        group = f"nasbench-ar-{uuid.uuid4().hex}"
        futures = client.map(
            _call,
            [code] * len(numbers),
            [packed[number] for number in numbers],
            [__version__] * len(numbers),
            key=[(group, position) for position in range(len(numbers))],
            pure=False,
        )
        number_of.update(zip(futures, numbers, strict=True))
        for future in futures:
            future.add_done_callback(finished.put)

    submit(range(len(tasks)))
    while number_of:
        future = _next(finished, client)
        number = number_of.pop(future)
        try:
            result = future.result()
        except KilledWorker as error:
            breaks.another(f"all that had begun one task, the last of them {error.last_worker.address}")
            submit([number])
            continue
        except (CancelledError, CommClosedError) as error:
            raise EngineError("the Dask scheduler is gone or was restarted; the same command goes on") from error
        breaks.progress()
        del future  # or the worker would keep the result
        yield result


def _next(finished: queue.SimpleQueue[Any], client: Any) -> Any:
    waiting = False
    while True:
        try:
            return finished.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            pass
        if not waiting and not client.nthreads():
            note(f"the Dask scheduler {client.scheduler.address} has no workers; waiting for one")
            waiting = True


_one_at_a_time = threading.Lock()


def _call(code: bytes, task: bytes, version: str) -> Any:
    """Runs in the worker."""
    with _one_at_a_time:
        if version != __version__:
            raise EngineError(
                f"{_here()} has nasbench-ar {__version__}, this command {version}; install the same there"
            )
        return call_packed(code, task, _here)


def _here() -> str:
    from distributed import get_worker

    return f"Dask worker {get_worker().address} on {socket.gethostname()}"


@contextmanager
def _connected(dask: str) -> Iterator[Any]:
    distributed = _library()
    address = dask if "://" in dask else _address_in(dask)
    _check(dask, address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # we report a lost connection as an error
    with client:
        yield client


def _address_in(scheduler_file: str) -> str:
    try:
        address = json.loads(Path(scheduler_file).read_text(encoding="utf-8"))["address"]
        if not isinstance(address, str) or "://" not in address or not address.isprintable():
            raise ValueError(f"its address is {shown(address)}")
        return address
    except FileNotFoundError:
        raise EngineError(
            f"dask={scheduler_file}: neither an address such as tcp://host:8786 nor a scheduler's file"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EngineError(f"dask={scheduler_file}: not the file of a Dask scheduler ({one_line(error)})") from error


def _check(dask: str, address: str) -> None:
    """Asks for the scheduler's name first: a client is slow to give up where none or another program answers."""

    async def identity() -> dict[str, Any]:
        from distributed.core import rpc

        async with rpc(address, timeout=CONNECT_SECONDS) as there:  # type: ignore[no-untyped-call]
            return await there.identity()

    try:
        kind = asyncio.run(asyncio.wait_for(identity(), CONNECT_SECONDS))["type"]
    except Exception as error:  # another program's answer may cause any error
        raise EngineError(
            f"dask={dask}: no Dask scheduler answers at {address} within {CONNECT_SECONDS} s ({one_line(error)})"
        ) from error
    if kind != "Scheduler":
        raise EngineError(f"dask={dask}: at {address} is no Dask scheduler but a {kind}")


@contextmanager
def _local(jobs: int, restarts: int) -> Iterator[Any]:
    distributed = _library()
    import dask

    settings = {"distributed.scheduler.worker-saturation": 1.0, "distributed.scheduler.allowed-failures": restarts}
    with ExitStack() as stack:
        with dask.config.set(settings), undisturbed():
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    memory_limit=0,  # tasks differ in size: none is stopped for exceeding an equal share
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                )
            )
        yield stack.enter_context(distributed.Client(cluster, set_as_default=False))


def _library() -> Any:
    return require("engine=dask", "distributed", EngineError)
