"""What finished attacks of a test found, so that a killed test goes on at the next attack.

    work/5-10-5-10-5-10-seed0/test-pgd-1f0a66b0c9d2.pt

is what `torch.save` writes of a dictionary with

    identity   what decides the numbers: the checkpoint's digest, seed, attacks, images, batch
    found      what the attack found, by image where it can be
    batch      images at once at its end, which memory may have halved
    seconds    that it took
    digest     SHA-256 over all of it

The name ends with a hash of the identity: after any change the test finds no file and
begins anew.  Of two workers' results the first is kept, and the test goes on with that one.
Clean logits are kept too, so that all attacks of a test are measured against the same ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from datagen.attack.evaluator import Batches, Found
from datagen.store.identity import content_hash, differences
from datagen.training.checkpoint import read_tensors, to_bytes
from datagen.training.train import Watch
from nasbench_ar.errors import ResultsError, WriteError
from nasbench_ar.system import checked_json as checked
from nasbench_ar.system.files import write_first

FORMAT = "datagen-attack-1"


class FinishedAttacks:
    """The attacks of one test in its work folder; `seconds` are those of all that are finished, by name."""

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        *,
        training_seconds: float,
        batches: Batches,
        watch: Watch,
        say: Callable[[str], None],
    ) -> None:
        self.seconds: dict[str, float] = {}
        self._folder, self._identity, self._training_seconds = folder, identity, training_seconds
        self._batches, self._watch, self._say = batches, watch, say

    def keep(self, name: str, attack: Callable[[], Found]) -> Found:
        """What an attack found, now or in an earlier run."""
        path = self._folder / f"test-{name}-{content_hash(self._identity)[:12]}.pt"
        if path.exists():
            self._say(f"{name}: finished before, in {path}")
        else:
            self._watch.before_attack(name, self._training_seconds, self.seconds)
            began = time.perf_counter()
            found = attack()
            seconds = time.perf_counter() - began
            state: dict[str, Any] = {
                "identity": self._identity,
                "found": found,
                "batch": self._batches.size,
                "seconds": seconds,
            }
            self._write(path, {"format": FORMAT, **state})
        state = read_tensors(path, FORMAT, "attack", _check, "remove it, and this attack is repeated, or restore it")
        if wrong := differences(state["identity"], self._identity):
            raise ResultsError(f"{path} is of another test ({'; '.join(wrong)}); remove it")
        self._batches.size = min(self._batches.size, state["batch"])
        self.seconds[name] = state["seconds"]
        return state["found"]

    def _write(self, path: Path, state: dict[str, Any]) -> None:
        self._watch.before_saving()
        try:
            write_first(path, to_bytes(state))
        except OSError as error:
            raise WriteError(
                f"cannot write {path}: {error.strerror or error}; the same command goes on after the attacks before it"
            ) from error


def _check(content: Mapping[str, Any]) -> None:
    if not all(isinstance(content[part], Mapping) for part in ("identity", "found")):
        raise TypeError("identity or found has no names")
    if not checked.count(content["batch"]):
        raise ValueError("batch=0")
    if checked.number(content["seconds"]) < 0:
        raise ValueError(f"seconds={content['seconds']}")
