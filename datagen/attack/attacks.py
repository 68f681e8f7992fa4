"""Gradient attacks in the L-infinity ball, from one loop with hooks (NARes, section 3.3).

FGSM, PGD, PGD-CW and the attack of adversarial training differ in three hooks alone:
the start, the loss that is climbed, and the number and size of the steps.

    attack = pgd(eps=8 / 255, step=0.8 / 255, steps=20)
    noise = attack.noise(images.shape, generator)
    adversarial = attack.perturb(classifier, images, labels, noise)

Images are floats in [0, 1].  The network is in evaluation mode meanwhile, and no
gradient reaches a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from datagen.network.classifier import Classifier

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(batch,) cross-entropy."""
    return F.cross_entropy(logits, labels, reduction="none")


def cw_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """(batch,) Carlini-Wagner margin max(Z_y - max_{i != y} Z_i, 0): 0 where already misclassified."""
    own = logits.gather(1, labels[:, None]).squeeze(1)
    other = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return F.relu(own - other)  # unlike clamp, its gradient at 0 is 0


def negative_cw_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """What PGD-CW climbs."""
    return -cw_margin(logits, labels)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        eps: radius of the ball.
        step: length of a step along the sign of the gradient.
        steps: how many; the last iterate is the adversarial example.
        climb: (logits, labels) -> (batch,), the loss that is climbed.
        start: `image`, `uniform` in the ball and clipped to [0, 1], or `normal`, unclipped.
        start_std: standard deviation of the normal start.
    """

    eps: float
    step: float
    steps: int
    climb: Loss = cross_entropy
    start: Literal["image", "uniform", "normal"] = "image"
    start_std: float = 0.0

    def noise(self, shape: torch.Size, random: torch.Generator) -> Tensor | None:
        """What the start needs for images of this shape, on the generator's device; None for nothing.

        Drawn for a whole split at once, it makes the result independent of the batch size.
        """
        if self.start == "image":
            return None
        draw = torch.rand if self.start == "uniform" else torch.randn
        return draw(shape, generator=random, device=random.device)

    def perturb(
        self,
        classifier: Classifier,
        images: Tensor,
        labels: Tensor,
        noise: Tensor | None = None,
        watch: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Adversarial examples, inside the ball and [0, 1] after every step.

        Args:
            classifier: what is attacked.
            images: (batch, channels, side, side) in [0, 1].
            labels: (batch,) int64.
            noise: from `noise`; required unless the start is the image.
            watch: called with the number of each step and its gradient.

        Returns:
            Tensor of the shape of `images`, detached.
        """
        lowest, highest = (images - self.eps).clamp_(min=0), (images + self.eps).clamp_(max=1)
        found = self._start(images, noise)
        with classifier.frozen():
            for number in range(self.steps):
                found.requires_grad_()
                with torch.enable_grad():
                    loss = self.climb(classifier(found), labels).sum()
                (gradient,) = torch.autograd.grad(loss, found)
                if watch is not None:
                    watch(number, gradient)
                found = found.detach().add(gradient.sign(), alpha=self.step)
                found = torch.clamp(found, lowest, highest)
        return found

    def _start(self, images: Tensor, noise: Tensor | None) -> Tensor:
        if self.start == "image":
            return images.clone()
        if noise is None:
            raise ValueError(f"start {self.start!r} needs noise; draw it with Attack.noise")
        if self.start == "uniform":
            return (images + (noise * 2 - 1) * self.eps).clamp_(0, 1)
        return images + noise * self.start_std


def fgsm(*, eps: float) -> Attack:
    """One step as long as the radius, from the image itself."""
    return Attack(eps=eps, step=eps, steps=1)


def pgd(*, eps: float, step: float, steps: int) -> Attack:
    """Projected gradient descent on the cross-entropy, from a uniform start."""
    return Attack(eps=eps, step=step, steps=steps, start="uniform")


def pgd_cw(*, eps: float, step: float, steps: int) -> Attack:
    """The same on the Carlini-Wagner margin."""
    return Attack(eps=eps, step=step, steps=steps, start="uniform", climb=negative_cw_margin)


def training_attack(*, eps: float, step: float, steps: int, start_std: float) -> Attack:
    """Madry's attack as the authors train with it: a normal start, not clipped, then a few long steps."""
    return Attack(eps=eps, step=step, steps=steps, start="normal", start_std=start_std)


def lipschitz(logits: Tensor, adversarial_logits: Tensor, images: Tensor, adversarial: Tensor) -> Tensor:
    """(batch,) ||f(x) - f(x')||_1 / ||x - x'||_inf, the difference raised by 1e-6 as in the authors' code."""
    top = (logits - adversarial_logits).abs().sum(1)
    return top / (images - adversarial + 1e-6).flatten(1).abs().amax(1)
