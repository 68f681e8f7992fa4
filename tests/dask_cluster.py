"""A real Dask scheduler and real worker processes on the loopback interface, for tests."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT

PATIENCE = 60
# A result in a worker that was killed is waited for so long; 30 s by default.
SETTINGS = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"}


@dataclass(frozen=True)
class Cluster:
    """A running scheduler.

    Attributes:
        scheduler_file: what it wrote about itself.
        folder: for logs and the workers' files.
    """

    scheduler_file: Path
    folder: Path

    @property
    def address(self) -> str:
        """`tcp://127.0.0.1:port`."""
        return str(json.loads(self.scheduler_file.read_text())["address"])

    @contextmanager
    def workers(self, count: int = 2) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Worker processes of one thread, each started anew by its nanny when it is killed."""
        with ExitStack() as stack:
            words = ["dask", "worker", "--scheduler-file", str(self.scheduler_file), "--nthreads", "1"]
            words += ["--no-dashboard", "--local-directory", str(self.folder / "scratch")]
            yield [stack.enter_context(_process(words, self.folder / f"worker{k}.log")) for k in range(count)]


@contextmanager
def scheduler(folder: Path) -> Iterator[Cluster]:
    """A scheduler on a free port, without workers."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder / "scheduler.json", folder)
    words = ["dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address"]
    words += ["127.0.0.1:0", "--scheduler-file", str(cluster.scheduler_file)]
    with _process(words, folder / "scheduler.log") as process:
        until = time.monotonic() + PATIENCE
        while not (cluster.scheduler_file.exists() and cluster.scheduler_file.stat().st_size):
            assert process.poll() is None, (folder / "scheduler.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield cluster


@contextmanager
def _process(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), **SETTINGS}
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=stream, stderr=stream, env=environment)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
