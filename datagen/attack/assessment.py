"""The test of a trained network: attacks, corruptions, bit masks and sanity checks (NARes, section 3.3)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from datagen.attack.attacks import Attack, fgsm
from datagen.attack.autoattack import COMPACT, STANDARD, run_autoattack
from datagen.attack.evaluator import Batches, Evaluator, Found, Keep, Outcome, at_once, iterated_attacks, mean, percent
from datagen.config import AttackConfig
from datagen.images.corruptions import CorruptionFiles, evaluate_corruptions
from datagen.images.splits import Dataset
from datagen.network.classifier import Classifier, float32_rule
from nasbench_ar.arrays import BoolArray, FloatArray
from nasbench_ar.errors import TrainingError

ZERO_GRADIENT_LIMIT = 1.0  # percent of the correctly classified images
SQUARE_LIMIT = 0.2  # points of accuracy; the rule of pyautoattack, which never sees two attacks in one call here


@dataclass(frozen=True)
class Assessment:
    """What the test found.

    Attributes:
        metrics: catalogue name, or `test_aa_standard_acc`, -> value; accuracies in percent.
        corruption_acc: (19, 5) percent, None without corrupted images; likewise `corruption_loss`.
        masks: attack -> (images,) bool, still classified correctly; AutoAttack's attacks after all before them.
        sanity: check -> whether it failed.
        details: numbers behind the checks.
    """

    metrics: dict[str, float]
    corruption_acc: FloatArray | None
    corruption_loss: FloatArray | None
    masks: dict[str, BoolArray]
    sanity: dict[str, bool]
    details: dict[str, float]
    warnings: list[str]


def assess(
    classifier: Classifier,
    dataset: Dataset,
    config: AttackConfig,
    batches: Batches,
    *,
    seed: int,
    say: Callable[[str], None],
    keep: Keep = at_once,
) -> Assessment:
    """Test a network that has the weights of the best epoch; test images lie on its device.

    `keep(name, attack)` returns what `attack()` finds, or found in an earlier run.
    """
    warnings: list[str] = []
    details: dict[str, float] = {}
    corruption_acc = corruption_loss = None
    with float32_rule(classifier.precision):
        clean = keep("clean", lambda: {"logits": Evaluator(classifier, dataset.test, batches).logits})
        evaluator = Evaluator(classifier, dataset.test, batches, clean["logits"])
        correct, loss = evaluator.clean()
        masks = {"clean": correct}
        metrics = {"test_clean_acc": percent(correct), "test_loss": mean(loss)}
        for name, attack in {"fgsm": fgsm(eps=config.eps_255 / 255), **iterated_attacks(config)}.items():
            outcome = Outcome(**keep(name, functools.partial(_attacked, evaluator, attack, seed, name)))
            masks[name] = outcome.correct
            metrics[f"test_{name}_acc"] = percent(outcome.correct)
            metrics[f"test_{name}_stable"] = percent(outcome.stable)
            if name != "fgsm":
                metrics[f"test_{name}_lip"] = mean(outcome.lip)
            if name == "pgd":
                details["zero_gradient_share"] = percent(outcome.zero_gradient[correct]) if correct.any() else 0.0
            say(f"{name}: {metrics[f'test_{name}_acc']:.2f} % of {len(correct)} test images")
        if config.autoattack != "none":
            sequence = COMPACT if config.autoattack == "compact" else STANDARD
            found = run_autoattack(evaluator, eps=config.eps_255 / 255, seed=seed, attacks=sequence, say=say, keep=keep)
            masks |= found.masks
            metrics["test_aa_acc"] = percent(found.masks[COMPACT[-1]])
            if sequence == STANDARD:
                metrics["test_aa_standard_acc"] = percent(found.masks[STANDARD[-1]])
            details["aa_outside_ball"] = float(found.outside)
            warnings = found.warnings
        if dataset.corruptions is not None:
            say("corruptions: 19 x 5 cells")
            cells = keep("corruptions", functools.partial(_corrupted, evaluator, dataset.corruptions))
            corruption_acc, corruption_loss = cells["acc"].numpy(), cells["loss"].numpy()
            metrics["test_corrupt_acc"] = float(corruption_acc.mean())
    losses = {} if corruption_loss is None else {"losses of corruptions": float(corruption_loss.sum())}
    if wrong := [name for name, value in {**metrics, **losses}.items() if not math.isfinite(value)]:
        raise TrainingError(f"the test is not finite: {', '.join(wrong)}")
    plain = {name: mask.numpy().astype(bool) for name, mask in masks.items()}
    sanity = sanity_checks(plain, details)
    return Assessment(metrics, corruption_acc, corruption_loss, plain, sanity, details, warnings)


def _attacked(evaluator: Evaluator, attack: Attack, seed: int, name: str) -> Found:
    return dict(vars(evaluator.attacked(attack, seed, "test", name)))


def _corrupted(evaluator: Evaluator, files: CorruptionFiles) -> Found:
    acc, loss = evaluate_corruptions(files, evaluator.measure)
    return {"acc": torch.from_numpy(acc), "loss": torch.from_numpy(loss)}


def sanity_checks(masks: dict[str, BoolArray], details: dict[str, float]) -> dict[str, bool]:
    """Check -> whether it failed: signs of an untrustworthy evaluation, such as masked gradients."""
    attacked = [mask.sum() for name, mask in masks.items() if name != "clean"]
    checks = {
        "robust_above_clean": bool(max(attacked, default=0) > masks["clean"].sum()),
        "zero_gradients": details["zero_gradient_share"] > ZERO_GRADIENT_LIMIT,
    }
    if COMPACT[-1] in masks:
        compact, cw = masks[COMPACT[-1]], masks["cw"]
        only_compact, only_cw = int((compact & ~cw).sum()), int((cw & ~compact).sum())
        checks["aa_above_cw"] = only_compact - only_cw > 2 * (only_compact + only_cw) ** 0.5
        checks["aa_outside_ball"] = details["aa_outside_ball"] > 0
    if STANDARD[-1] in masks:
        before, after = masks[STANDARD[-2]], masks[STANDARD[-1]]
        checks["square_lowers_accuracy"] = bool(100 * (before & ~after).mean() > SQUARE_LIMIT)
    return checks
