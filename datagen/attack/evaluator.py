"""Accuracy, loss, stable accuracy and Lipschitz constant, per image, clean and attacked (NARes, section 3.3).

The evaluator does not trust an attack: it clips the result into the ball again and measures anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from datagen.attack.attacks import Attack, batch_for, cross_entropy, lipschitz, pgd, pgd_cw
from datagen.config import AttackConfig
from datagen.hardware import release_memory
from datagen.images.splits import Split
from datagen.network.classifier import Classifier
from datagen.network.model import as_unit_floats
from datagen.out_of_memory import is_out_of_memory
from datagen.seeds import generator
from nasbench_ar.errors import TrainingError, one_line
from nasbench_ar.metrics import CW_LOSS_IMAGES

Say = Callable[[str], None]
T = TypeVar("T")
Found = dict[str, Any]  # plain data and tensors on the CPU
Keep = Callable[[str, Callable[[], Found]], Found]  # of an attack's name and the attack: what it finds, or found before


def at_once(name: str, attack: Callable[[], Found]) -> Found:
    """The `Keep` that keeps nothing."""
    return attack()


class Batches:
    """Works through images in batches, and halves `size` when memory runs out."""

    def __init__(self, size: int, say: Say) -> None:
        self.size = size
        self._say = say

    def retry(self, work: Callable[[int], T]) -> T:
        """Call `work(size)`, again with half the size as long as memory runs out."""
        while True:
            try:
                return work(self.size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                why = one_line(error)
                if self.size == 1:
                    raise TrainingError(f"out of memory with a single image; use another device ({why})") from error
            # Here the error is gone, and with it the frames that hold the tensors of the failed batch.
            half = self.size // 2
            self._say(f"out of memory; evaluation goes on with batches of {half} instead of {self.size} ({why})")
            self.size = half
            release_memory()

    def map(self, n: int, work: Callable[[slice], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Results of `work` for slices covering 0..n-1, each joined along the first axis, on the CPU."""
        parts: list[tuple[Tensor, ...]] = []
        done = 0
        while done < n:
            start = done

            def one(size: int, start: int = start) -> tuple[int, tuple[Tensor, ...]]:
                return min(size, n - start), tuple(part.cpu() for part in work(slice(start, min(start + size, n))))

            taken, part = self.retry(one)
            parts.append(part)
            done += taken
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))


@dataclass(frozen=True)
class Outcome:
    """What an attack, or none, did to a split, by image, on the CPU.

    Attributes:
        correct: (n,) bool, classified correctly.
        loss: (n,) float32, what the attack climbs, before its last step.
        stable: (n,) bool, the prediction equals that on the clean image.
        lip: (n,) float32, empirical Lipschitz constant.
        zero_gradient: (n,) bool, the first gradient of the attack is zero everywhere.
    """

    correct: Tensor
    loss: Tensor
    stable: Tensor
    lip: Tensor
    zero_gradient: Tensor


def percent(flags: Tensor) -> float:
    return 100.0 * int(flags.sum()) / len(flags)


def mean(values: Tensor) -> float:
    return float(values.double().mean())


class Evaluator:
    """Measures one network on one split; `logits`, (n, classes) float32 of clean images, are computed unless given."""

    def __init__(self, classifier: Classifier, split: Split, batches: Batches, logits: Tensor | None = None) -> None:
        self.classifier, self.split, self.batches = classifier, split, batches
        self.logits = self._logits(split.images) if logits is None else logits

    def predict(self, images: Tensor) -> Tensor:
        """(n, classes) logits in evaluation mode; images uint8 or in [0, 1]."""
        with self.classifier.frozen():
            return self.classify(as_unit_floats(images.to(self.classifier.device)))

    def classify(self, images: Tensor) -> Tensor:
        """(n, classes) logits; on CUDA the batch is filled up, so that few sizes have to be tuned or compiled."""
        n, of = len(images), self.batches.size
        sized = images.device.type == "cuda" or self.classifier.compiled
        missing = batch_for(n, of=of) - n if sized and n <= of else 0
        if not missing:
            return self.classifier(images)
        return self.classifier(torch.cat([images, images.new_zeros(missing, *images.shape[1:])]))[:n]

    def predictions(self, images: Tensor) -> Tensor:
        """(n,) int64 predicted classes of any images, on the CPU."""
        return self._logits(images).argmax(1)

    def _logits(self, images: Tensor) -> Tensor:
        (logits,) = self.batches.map(len(images), lambda part: (self.predict(images[part]),))
        return logits

    def clean(self) -> tuple[Tensor, Tensor]:
        """(n,) bool correct and (n,) float32 cross-entropy of the clean images, on the CPU."""
        labels = self.split.labels.cpu()
        return self.logits.argmax(1) == labels, cross_entropy(self.logits, labels)

    def attacked(self, attack: Attack, seed: int, *purpose: object) -> Outcome:
        """Attack every image; `seed` and `purpose` alone decide the random start, not batch size or device."""
        noise = attack.noise(self.split.images.shape, generator(seed, *purpose))
        return Outcome(*self.batches.map(len(self.split), lambda part: self._attack(attack, noise, part)))

    def _attack(self, attack: Attack, noise: Tensor | None, part: slice) -> tuple[Tensor, ...]:
        images = as_unit_floats(self.split.images[part])
        labels = self.split.labels[part]
        zero = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
        loss = torch.zeros(len(labels), device=labels.device)

        def watch(step: int, gradient: Tensor, climbed: Tensor) -> None:
            loss.copy_(climbed)
            if step == 0:
                zero.copy_(gradient.flatten(1).abs().amax(1) == 0)

        own = None if noise is None else noise[part].to(images.device)
        adversarial = reclip(images, attack.perturb(self.classifier, images, labels, own, watch), attack.eps)
        logits, clean = self.predict(adversarial), self.logits[part].to(images.device)
        stable = logits.argmax(1) == clean.argmax(1)
        return logits.argmax(1) == labels, loss, stable, lipschitz(clean, logits, images, adversarial), zero

    def measure(self, images: Tensor) -> tuple[float, float]:
        """Accuracy in percent and mean loss on other images with the labels of the split."""
        labels, logits = self.split.labels.cpu(), self._logits(images)
        return percent(logits.argmax(1) == labels), mean(cross_entropy(logits, labels))


def reclip(images: Tensor, adversarial: Tensor, eps: float) -> Tensor:
    return torch.clamp(adversarial, (images - eps).clamp(min=0), (images + eps).clamp(max=1))


def iterated_attacks(config: AttackConfig, *, clipped: bool = True) -> dict[str, Attack]:
    """PGD and PGD-CW under the names of the metrics; the authors clip the random start in the test only."""
    eps, step = config.eps_255 / 255, config.step_255 / 255
    return {
        "pgd": pgd(eps=eps, step=step, steps=config.pgd_steps, clipped=clipped),
        "cw": pgd_cw(eps=eps, step=step, steps=config.cw_steps, clipped=clipped),
    }


def validate(
    classifier: Classifier, split: Split, config: AttackConfig, batches: Batches, *, seed: int, epoch: int
) -> dict[str, float]:
    """The ten validation values of one epoch (NARes, Table 1), by the names of `CURVES`.

    Losses of attacks are the authors': before the last step, and for PGD-CW the mean of minus the sum of the margins
    of CW_LOSS_IMAGES images.
    """
    evaluator = Evaluator(classifier, split, batches)
    correct, loss = evaluator.clean()
    found = {"val_loss": mean(loss), "val_clean_acc": percent(correct)}
    for name, attack in iterated_attacks(config, clipped=False).items():
        outcome = evaluator.attacked(attack, seed, "validation", epoch, name)
        found[f"val_{name}_acc"] = percent(outcome.correct)
        found[f"val_{name}_stable"] = percent(outcome.stable)
        found[f"val_{name}_lip"] = mean(outcome.lip)
        found[f"val_{name}_loss"] = mean(outcome.loss) * (CW_LOSS_IMAGES if name == "cw" else 1)
    return found
