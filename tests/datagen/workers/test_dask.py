"""`datagen.run engine=dask` on a scheduler and two workers, one of which is killed in the middle of a training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datagen.store.folder import EntryStore
from tests.dask_cluster import scheduler
from tests.datagen.conftest import TINY
from tests.processes import ROOT

SECONDS = 300


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "datagen.run", *TINY, *words]


@pytest.mark.slow
def test_a_killed_dask_worker_loses_nothing(arrays: Path, tmp_path: Path) -> None:
    words = [f"data.file={arrays}", "archs=1-6", "train.epochs=6"]
    disturbed, undisturbed = EntryStore(tmp_path / "disturbed"), EntryStore(tmp_path / "undisturbed")
    with scheduler(tmp_path / "dask") as cluster, cluster.workers(2), (tmp_path / "run.log").open("w+") as log:
        process = subprocess.Popen(
            command(*words, f"store={disturbed.folder}", "engine=dask", f"dask={cluster.scheduler_file}"),
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        until, killed = time.monotonic() + SECONDS, 0
        while not killed and time.monotonic() < until and process.poll() is None:
            for progress in (disturbed.folder / "work").glob("*/progress.json"):
                claim = disturbed.claims.path(progress.parent.name)
                if claim.exists() and not killed:  # it is in the middle of its epochs
                    killed = int(json.loads(claim.read_bytes())["pid"])
                    os.kill(killed, signal.SIGKILL)
            time.sleep(0.01)
        assert killed
        assert process.wait(SECONDS) == 0, (tmp_path / "run.log").read_text()
    subprocess.run(command(*words, f"store={undisturbed.folder}"), cwd=ROOT, check=True, capture_output=True)
    first, second = disturbed.entries(), undisturbed.entries()
    assert len(first) == 6
    assert [(entry.curves, entry.test) for entry in first] == [(entry.curves, entry.test) for entry in second]
    assert sum(entry.provenance["interruptions"] for entry in first) >= 1
    assert not any(disturbed.claims.folder.iterdir())
