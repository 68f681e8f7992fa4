"""What a training step minimises, and what its attack climbs; f are logits, p probabilities, x' the attacked image.

    pgd_at   CE(f(x'), y)                                             Madry et al. (2018)
    trades   CE(f(x), y) + beta KL(p(x) || p(x'))                     Zhang et al. (2019), beta is their 1/lambda
    mart     BCE(p(x'), y) + beta KL(p(x) || p(x')) (1 - p_y(x))      Wang et al. (2020)

BCE(p, y) = -log p_y - log(1.0001 - max_{k != y} p_k), whose 1.0001 is of the authors' code.
All are means over the batch.  The attacks of pgd_at and mart climb the cross-entropy, that
of trades KL(p(x) || p(x')) with p(x) in evaluation mode; `Attack` has their loop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from datagen.attack.attacks import Loss, cross_entropy
from datagen.network.classifier import Classifier


def divergence(logits: Tensor, natural: Tensor) -> Tensor:
    """(batch,) KL(p(x) || p(x')) of the logits of x' and of x."""
    return F.kl_div(F.log_softmax(logits, 1), F.log_softmax(natural, 1), reduction="none", log_target=True).sum(1)


def trades(natural: Tensor, logits: Tensor, labels: Tensor, beta: float) -> Tensor:
    """The loss of TRADES by the logits of x and of x', both (batch, classes)."""
    return F.cross_entropy(natural, labels) + beta * divergence(logits, natural).mean()


def mart(natural: Tensor, logits: Tensor, labels: Tensor, beta: float) -> Tensor:
    """The loss of MART by the logits of x and of x', both (batch, classes)."""
    wrong = F.softmax(logits, 1).scatter(1, labels[:, None], 0).amax(1)
    boosted = F.cross_entropy(logits, labels) - torch.log(1.0001 - wrong).mean()
    doubt = 1 - F.softmax(natural, 1).gather(1, labels[:, None]).squeeze(1)
    return boosted + beta * (divergence(logits, natural) * doubt).mean()


class PgdAt:
    """Trains on attacked images alone."""

    climb: Loss = staticmethod(cross_entropy)

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def target(self, classifier: Classifier, clean: Tensor, labels: Tensor) -> Tensor:
        """The second argument of `climb`."""
        return labels

    def step(self, classifier: Classifier, clean: Tensor, attacked: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the logits of the attacked images."""
        logits = classifier(attacked)
        return F.cross_entropy(logits, labels), logits


class Trades(PgdAt):
    climb: Loss = staticmethod(divergence)

    def target(self, classifier: Classifier, clean: Tensor, labels: Tensor) -> Tensor:
        with classifier.frozen():
            return classifier(clean)

    def step(self, classifier: Classifier, clean: Tensor, attacked: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        natural, logits = classifier(clean), classifier(attacked)
        return trades(natural, logits, labels, self.beta), logits


class Mart(PgdAt):
    def step(self, classifier: Classifier, clean: Tensor, attacked: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        natural, logits = classifier(clean), classifier(attacked)
        return mart(natural, logits, labels, self.beta), logits


LOSSES = {"pgd_at": PgdAt, "trades": Trades, "mart": Mart}
