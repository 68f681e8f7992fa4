"""Gradient attacks in the L-infinity ball, from one loop (NARes, section 3.3).

They differ in the start, the loss, and the number and size of the steps.  Images are floats
in [0, 1].  The network runs in evaluation mode, and no gradient reaches a weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from datagen.network.classifier import Classifier

Loss = Callable[[Tensor, Tensor], Tensor]
EVEN = 16  # in all batches of a multiple of it, an image got the same bits from the processor's convolutions


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(batch,)"""
    return F.cross_entropy(logits, labels, reduction="none")


def cw_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """(batch,) Carlini-Wagner margin max(Z_y - max_{i != y} Z_i, 0): 0 where already misclassified."""
    own = logits.gather(1, labels[:, None]).squeeze(1)
    other = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return F.relu(own - other)  # unlike clamp, its gradient at 0 is 0


def negative_cw_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """(batch,) the loss that PGD-CW climbs."""
    return -cw_margin(logits, labels)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        eps: radius of the ball.
        steps: how many; the last iterate is the adversarial example.
        climb: (logits, labels) -> (batch,), the loss to climb.
        start: `image`, `uniform` in the ball, `clipped` (the same, clipped to [0, 1]), or `normal`.
        leave: whether images whose gradient is zero leave the batch, since no further step would move them.
    """

    eps: float
    step: float
    steps: int
    climb: Loss = cross_entropy
    start: Literal["image", "uniform", "clipped", "normal"] = "image"
    start_std: float = 0.0
    leave: bool = False

    def noise(self, shape: torch.Size, random: torch.Generator) -> Tensor | None:
        """Random start for images of this shape; drawn for a whole split, it does not depend on the batch size."""
        if self.start == "image":
            return None
        draw = torch.randn if self.start == "normal" else torch.rand
        return draw(shape, generator=random, device=random.device)

    def perturb(
        self,
        classifier: Classifier,
        images: Tensor,
        labels: Tensor,
        noise: Tensor | None = None,
        watch: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Tensor:
        """(batch, channels, side, side) adversarial examples, inside the ball and [0, 1] after every step.

        `labels` are what `climb` takes beside the logits; some take another tensor with a row for each image.
        `watch` is told the number of each step, the gradient (times `loss_scale`) of the images still in the batch, and
        the (batch,) loss of all of them.
        """
        # In the network's layout a step needs no copy, and what the gradient is of stays a leaf, as torch.compile asks.
        images = classifier.laid_out(images)
        lowest, highest = (images - self.eps).clamp_(min=0), (images + self.eps).clamp_(max=1)
        found = classifier.laid_out(self._start(images, noise))
        adversarial, losses = torch.empty_like(found), torch.empty(0)
        rows = torch.arange(len(images), device=images.device)  # that `found` and its bounds have
        with classifier.frozen():
            for number in range(self.steps):
                found.requires_grad_()
                with torch.enable_grad():
                    loss = self.climb(classifier(found), labels)
                    (gradient,) = torch.autograd.grad(loss.sum() * classifier.loss_scale, found)
                losses = losses.index_copy(0, rows, loss.detach()) if number else loss.detach()
                if watch is not None:
                    watch(number, gradient, losses)
                found = found.detach().add(gradient.sign(), alpha=self.step)
                found = torch.clamp(found, lowest, highest)
                if not self.leave or number == 0:  # the first also moves a start into the ball
                    continue
                moved = (gradient != 0).any(dim=(1, 2, 3))
                size = batch_for(_count(moved), of=len(images))
                if size < len(rows):
                    adversarial[rows] = found
                    here = moved.to(torch.uint8).argsort(descending=True, stable=True)[:size]
                    rows, labels = rows[here], labels[here]
                    found, lowest, highest = (classifier.laid_out(one[here]) for one in (found, lowest, highest))
                    if not size:
                        break
        return found if len(rows) == len(images) else adversarial.index_copy_(0, rows, found)

    def _start(self, images: Tensor, noise: Tensor | None) -> Tensor:
        if self.start == "image":
            return images.clone()
        if noise is None:
            raise ValueError(f"start {self.start!r} needs noise; draw it with Attack.noise")
        if self.start == "normal":
            return images + noise * self.start_std
        found = images + (noise * 2 - 1) * self.eps
        return found.clamp_(0, 1) if self.start == "clipped" else found


def batch_for(moving: int, *, of: int) -> int:
    """The smallest batch that holds so many images of `of`: few sizes, since libraries tune and compile each."""
    sizes = [of] + [min(of, -(-of * eighths // (8 * EVEN)) * EVEN) for eighths in range(1, 8)]
    return min(size for size in sizes if size >= moving) if moving else 0


def _count(flags: Tensor) -> int:
    return int(flags.sum())


def fgsm(*, eps: float) -> Attack:
    return Attack(eps=eps, step=eps, steps=1)


def pgd(*, eps: float, step: float, steps: int, clipped: bool = True) -> Attack:
    return Attack(eps=eps, step=step, steps=steps, start="clipped" if clipped else "uniform")


def pgd_cw(*, eps: float, step: float, steps: int, clipped: bool = True) -> Attack:
    """PGD on the Carlini-Wagner margin."""
    return replace(pgd(eps=eps, step=step, steps=steps, clipped=clipped), climb=negative_cw_margin, leave=True)


def training_attack(*, eps: float, step: float, steps: int, start_std: float, climb: Loss = cross_entropy) -> Attack:
    """Madry's attack as the authors train with it: a normal, unclipped start, then a few long steps."""
    return Attack(eps=eps, step=step, steps=steps, climb=climb, start="normal", start_std=start_std)


def lipschitz(logits: Tensor, adversarial_logits: Tensor, images: Tensor, adversarial: Tensor) -> Tensor:
    """(batch,) ||f(x) - f(x')||_1 / ||x - x'||_inf, the difference raised by 1e-6 as in the authors' code."""
    top = (logits - adversarial_logits).abs().sum(1)
    return top / (images - adversarial + 1e-6).flatten(1).abs().amax(1)
