"""`log.jsonl` in a training's work folder: one line an epoch, however often the training was interrupted.

    {"epoch": 76, "finished": "2024-05-06T07:08:09Z", "learning_rate": 0.01,
     "gradient_norm": 0.81, "clipped": 0.02, "left_out": 0, "images_a_second": 2100.5, "tflops": 410.3, "mfu": 0.415,
     "peak_memory_mib": 9120.1, "train_seconds": 23.8, "val_seconds": 4.1, "train_loss": 1.02, ... "val_cw_loss": -6.4}

`gradient_norm` is the mean over the steps, before clipping, and `clipped` the share of steps
that were, both without the `left_out` ones whose gradients overflowed in float16.  `tflops` counts
two operations a MAC over all passes of the training steps, and `mfu` is its share of the
card's published peak, null where `cards.peak_tflops` knows none.  The twelve curves
follow by their names.  With `log=tensorboard` the numbers go to event files in the
folder `tensorboard` beside it as well.
"""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

from torch import Tensor

from datagen.cards import peak_tflops
from datagen.config import TrainConfig
from datagen.hardware import device_name, peak_memory_mib
from datagen.network.classifier import Classifier
from datagen.network.model import WideResNet
from datagen.profiles import passes_of_step
from datagen.store.failures import utc_time
from nasbench_ar.errors import WriteError
from nasbench_ar.system.files import write_atomically

FILE = "log.jsonl"


class EpochLog:
    """The log of a training that has `done` epochs; what is there of later ones is written anew."""

    def __init__(self, folder: Path, done: int, *, tensorboard: bool = False) -> None:
        self._path = folder / FILE
        self._events = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(folder / "tensorboard", purge_step=done)
            weakref.finalize(self, self._events.close)  # its thread would outlive the training
        self._lines = [line for line in self._old() if (epoch := _epoch(line)) is not None and epoch < done]

    def _old(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # none yet; one that is in the way shows when it is written
            return []

    def add(self, record: dict[str, Any]) -> None:
        self._lines.append(json.dumps(record, allow_nan=False))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, "".join(f"{line}\n" for line in self._lines).encode())
        except OSError as error:
            what = f"cannot write {self._path}: {error.strerror or error}"
            raise WriteError(f"{what}; the same command goes on from the last checkpoint") from error
        if self._events is not None:
            for name, value in record.items():
                if isinstance(value, (int, float)) and name != "epoch":
                    self._events.add_scalar(name, value, record["epoch"])
            self._events.flush()


def record(
    epoch: int,
    classifier: Classifier,
    plan: TrainConfig,
    *,
    rate: float,
    norms: Tensor,
    train_seconds: float,
    val_seconds: float,
) -> dict[str, Any]:
    """All but the curves of a line; `norms` are (steps,), of the gradients before clipping."""
    network = classifier.network
    assert isinstance(network, WideResNet)
    taken = norms[norms.isfinite()]
    images_a_second = len(norms) * plan.batch / train_seconds
    passes = passes_of_step(plan.loss, plan.steps)
    tflops = images_a_second * passes * 2 * network.space.macs(network.architecture) / 1e12
    peak = peak_tflops(device_name(classifier.device), classifier.precision)
    return {
        "epoch": epoch,
        "finished": utc_time(),
        "learning_rate": rate,
        "gradient_norm": taken.mean().item() if len(taken) else None,
        "clipped": (taken > plan.clip_norm).float().mean().item() if len(taken) else None,
        "left_out": len(norms) - len(taken),
        "images_a_second": images_a_second,
        "tflops": tflops,
        "mfu": tflops / peak if peak else None,
        "peak_memory_mib": peak_memory_mib(classifier.device),
        "train_seconds": train_seconds,
        "val_seconds": val_seconds,
    }


def _epoch(line: str) -> int | None:
    """None for what no training wrote."""
    try:
        epoch = json.loads(line)["epoch"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return epoch if type(epoch) is int else None
