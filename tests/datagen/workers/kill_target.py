"""A process that runs `datagen.run`, made to be killed: at a chosen call, or by its parent."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which the first optimiser would import in every process anew

from datagen import run
from datagen.training import checkpoint, pipeline, train
from datagen.training.finished_attacks import FinishedAttacks
from nasbench_ar.system import files, process

# Where a process can be killed: before and after any call of these.
AIMS: dict[str, tuple[Any, str]] = {
    "step of training": (torch.optim.SGD, "step"),
    "validation": (train, "validate"),
    "checkpoint": (checkpoint, "save_checkpoint"),
    "test": (pipeline, "assess"),
    "result of an attack": (FinishedAttacks, "_write"),
    "flushing a file": (os, "fsync"),
    "naming an entry or a claim": (os, "link"),
    "renaming a file": (Path, "replace"),
    "removing a file": (Path, "unlink"),
}


def aim_at(name: str, count: int, *, after: bool) -> None:
    """Let this process kill itself at a call."""
    owner, attribute = AIMS[name]
    whole: Callable[..., Any] = getattr(owner, attribute)
    calls = 0

    @functools.wraps(whole)
    def deadly(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*arguments, **more)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, attribute, deadly)


def main(words: Sequence[str], machine: str, log: Path, aim: tuple[str, int, bool] | None = None) -> None:
    """Run a command as if on a machine of that name, with everything it prints in `log`."""
    with log.open("a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    torch.set_num_threads(1)
    name = f"{machine:0>12}"
    process.machine = files.machine = lambda: name  # type: ignore[assignment]
    if aim:
        aim_at(aim[0], aim[1], after=aim[2])
    sys.exit(run.main(list(words)))
