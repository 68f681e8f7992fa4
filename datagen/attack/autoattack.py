"""AutoAttack through its authors' own package, `pyautoattack` (Croce and Hein, 2020).

AA-Compact, the dataset's metric, runs untargeted APGD-CE, then targeted APGD-DLR on the
survivors.  Standard AutoAttack goes on with targeted FAB and Square, takes many times as
long, and is called `aa_standard` here.  The package seeds PyTorch's global generators;
this module restores their state.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from datagen.attack.evaluator import Evaluator, Found, Keep, at_once, percent, reclip
from datagen.network.model import as_unit_floats
from datagen.seeds import derive

COMPACT = ("apgd-ce", "apgd-t")
STANDARD = (*COMPACT, "fab-t", "square")
OUTSIDE = 1e-5  # rounding of the package's own projection stays below this


@dataclass(frozen=True)
class Survivors:
    """What is left after each attack of the sequence.

    Attributes:
        masks: attack -> (n,) bool, correct on the clean image and after this and every earlier attack.
        outside: adversarial examples that were outside the ball before clipping.
    """

    masks: dict[str, Tensor]
    outside: int
    warnings: list[str] = field(default_factory=list)


def run_autoattack(
    evaluator: Evaluator,
    *,
    eps: float,
    seed: int,
    attacks: tuple[str, ...] = COMPACT,
    say: Callable[[str], None] = lambda text: None,
    keep: Keep = at_once,
) -> Survivors:
    """Run one attack after the other, each on the survivors only; random starts depend on the batch size too."""
    standing = evaluator.clean()[0].clone()
    masks: dict[str, Tensor] = {}
    outside = 0
    warnings: list[str] = []
    with _untouched_globals(evaluator.classifier.device), evaluator.classifier.frozen():
        adversary = _adversary(evaluator, eps, derive(seed, "autoattack") % 2**31)
        for attack in attacks:
            found = keep(attack, functools.partial(_attack, evaluator, adversary, attack, eps, standing))
            masks[attack] = standing = found["standing"]
            outside += found["outside"]
            warnings += [text for text in found["warnings"] if text not in warnings]
            say(f"AutoAttack: {percent(standing):.2f} % stand after {attack}")
    return Survivors(masks, outside, warnings)


def _attack(evaluator: Evaluator, adversary: Any, attack: str, eps: float, before: Tensor) -> Found:
    split, standing, outside = evaluator.split, before.clone(), 0
    where = standing.nonzero().squeeze(1)
    with _collected_warnings() as warnings:
        if len(where):
            here = where.to(split.images.device)
            images, labels = as_unit_floats(split.images[here]), split.labels[here]
            adversary.attacks_to_run = [attack]

            def run(size: int) -> Tensor:
                found: Tensor = adversary.run_standard_evaluation(images, labels, batch_size=size)[0]
                return found

            raw = evaluator.batches.retry(run)
            clipped = reclip(images, raw, eps)
            outside = int(((raw - clipped).flatten(1).abs().amax(1) > OUTSIDE).sum())
            standing[where] = evaluator.predictions(clipped) == labels.cpu()
    return {"standing": standing, "outside": outside, "warnings": warnings}


def _adversary(evaluator: Evaluator, eps: float, seed: int) -> Any:
    from pyautoattack import AutoAttack

    adversary = AutoAttack(
        evaluator.classify,
        attacks=list(COMPACT),
        device=evaluator.classifier.device,
        eps=eps,
        norm="Linf",
        seed=seed,
        version="custom",
    )
    # The settings of the package's version "standard"; "custom" would start APGD five times.
    targets = min(9, evaluator.logits.shape[1] - 1)
    adversary.apgd.n_restarts = adversary.apgd_targeted.n_restarts = adversary.fab.n_restarts = 1
    adversary.apgd_targeted.n_target_classes = adversary.fab.n_target_classes = targets
    return adversary


@contextmanager
def _untouched_globals(device: torch.device) -> Iterator[None]:
    """The package sets random states and the trace function of the whole process."""
    trace = sys.gettrace()
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            sys.settrace(trace)


@contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    texts: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text not in texts:
                texts.append(text)

    logger, handler = logging.getLogger("auto-attack"), Collector(logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield texts
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated
