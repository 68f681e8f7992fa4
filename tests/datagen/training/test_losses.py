"""PGD-AT, TRADES and MART against numbers worked by hand and SciPy's divergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import Tensor

from datagen.attack.attacks import training_attack
from datagen.training.losses import LOSSES, Trades, divergence, mart, trades
from tests.datagen.conftest import linear_classifier, random_images

# Probabilities with simple logarithms, as logits: x is (1/2, 1/4, 1/4), x' is (1/4, 1/2, 1/4).
NATURAL = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
ATTACKED = torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.float64).log() + 3  # a constant changes no probability
LN2 = np.log(2)


def test_by_hand() -> None:
    kl = LN2 / 2 - LN2 / 4  # 1/2 ln(1/2 : 1/4) + 1/4 ln(1/4 : 1/2) + 0
    assert divergence(ATTACKED, NATURAL).item() == pytest.approx(kl)
    for label, natural, attacked, wrong, doubt in ((0, 1, 2, 0.5, 0.5), (1, 2, 1, 0.25, 0.75), (2, 2, 2, 0.5, 0.75)):
        labels = torch.tensor([label])
        assert trades(NATURAL, ATTACKED, labels, 6.0).item() == pytest.approx(natural * LN2 + 6 * kl)
        wanted = attacked * LN2 - np.log(1.0001 - wrong) + 5 * kl * doubt
        assert mart(NATURAL, ATTACKED, labels, 5.0).item() == pytest.approx(wanted)


def random_logits(seed: int, n: int = 40, classes: int = 10) -> Tensor:
    return 4 * torch.randn(n, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_against_scipy() -> None:
    natural, attacked, labels = random_logits(0), random_logits(1), torch.arange(40) % 10
    p, q, rows = softmax(natural.numpy(), 1), softmax(attacked.numpy(), 1), np.arange(40)
    kl = rel_entr(p, q).sum(1)
    np.testing.assert_allclose(divergence(attacked, natural).numpy(), kl)
    wanted = (-np.log(p[rows, labels])).mean() + 6 * kl.mean()
    assert trades(natural, attacked, labels, 6.0).item() == pytest.approx(wanted)
    others = np.where(np.eye(10, dtype=bool)[labels], -1, q).max(1)
    boosted = -np.log(q[rows, labels]) - np.log(1.0001 - others)
    wanted = boosted.mean() + 6 * (kl * (1 - p[rows, labels])).mean()
    assert mart(natural, attacked, labels, 6.0).item() == pytest.approx(wanted)


@pytest.mark.parametrize("loss", [trades, mart])
def test_gradients_reach_both_images_and_are_those_of_differences(loss: object) -> None:
    natural, attacked = (random_logits(seed, 3, 4).requires_grad_() for seed in (2, 3))
    labels = torch.tensor([0, 1, 3])
    assert torch.autograd.gradcheck(lambda x, a: loss(x, a, labels, 6.0), (natural, attacked))  # type: ignore[operator]


@pytest.mark.parametrize("loss", [trades, mart])
def test_logits_far_apart_keep_all_finite(loss: object) -> None:
    natural, attacked = torch.tensor([[300.0, 0, -300]]), torch.tensor([[-300.0, 0, 300]])
    for label in range(3):
        logits = natural.clone().requires_grad_(), attacked.clone().requires_grad_()
        value = loss(*logits, torch.tensor([label]), 6.0)  # type: ignore[operator]
        value.backward()
        assert all(map(torch.isfinite, (value, *(logit.grad.sum() for logit in logits))))  # type: ignore[union-attr]


def test_the_attack_of_trades_climbs_the_divergence() -> None:
    classifier, clean, labels = linear_classifier(classes=5), random_images(30), torch.arange(30) % 5
    target = Trades(6.0).target(classifier, clean, labels)
    assert torch.equal(target, classifier(clean))
    assert not target.requires_grad
    random, found = torch.Generator().manual_seed(0), {}
    for name, objective in LOSSES.items():
        attack = training_attack(eps=0.1, step=0.02, steps=10, start_std=0.001, climb=objective.climb)
        adversarial = attack.perturb(
            classifier, clean, objective(6.0).target(classifier, clean, labels), attack.noise(clean.shape, random)
        )
        assert (adversarial - clean).abs().max() <= 0.1 + 1e-6
        found[name] = divergence(classifier(adversarial), target).mean().item()
    assert found["trades"] > found["pgd_at"]
    assert found["mart"] == pytest.approx(found["pgd_at"], rel=0.01), "both climb the cross-entropy"
