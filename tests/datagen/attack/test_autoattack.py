"""AA-Compact against the exact worst case of linear models, and what the package must not leave behind."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from datagen.attack.autoattack import COMPACT, STANDARD, run_autoattack
from datagen.attack.evaluator import Batches, Evaluator, percent
from datagen.images.splits import Split
from datagen.network.classifier import Classifier
from tests.datagen.conftest import Linear, linear_classifier

EPS = 0.08


def setting(n: int = 60, classes: int = 6) -> tuple[Evaluator, Tensor]:
    """An evaluator of a linear model, and which images no perturbation in the ball can break."""
    classifier = linear_classifier(classes=classes)
    random = torch.Generator().manual_seed(7)
    pixels = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=random)
    images = (pixels / 255).flatten(1).double()
    weight = classifier.network.weight.detach().double()  # type: ignore[union-attr,operator]
    bias = classifier.network.bias.detach().double()  # type: ignore[union-attr,operator]
    labels = (images @ weight.T + bias).argmax(1)
    labels[::10] = (labels[::10] + 1) % classes  # some are wrong to begin with
    unbreakable = torch.ones(n, dtype=torch.bool)
    for k in range(n):
        y = int(labels[k])
        for other in range(classes):
            if other != y:
                difference = weight[y] - weight[other]
                worst = (images[k] - EPS * difference.sign()).clamp(0, 1)
                unbreakable[k] &= bool(worst @ difference + bias[y] - bias[other] > 0)
    evaluator = Evaluator(classifier, Split("random", pixels, labels), Batches(25, lambda text: None))
    return evaluator, unbreakable


def test_compact_finds_the_exact_worst_case_of_a_linear_model() -> None:
    evaluator, unbreakable = setting()
    said: list[str] = []
    found = run_autoattack(evaluator, eps=EPS, seed=0, say=said.append)
    assert tuple(found.masks) == COMPACT
    assert 0 < int(unbreakable.sum()) < 50
    assert torch.equal(found.masks["apgd-t"], unbreakable)
    assert found.outside == 0
    assert percent(found.masks["apgd-t"]) == 100 * float(unbreakable.double().mean())
    assert len(said) == 2
    assert "stand after apgd-ce" in said[0]


def test_a_compiled_network_sees_few_sizes_of_batch() -> None:
    evaluator, unbreakable = setting()
    sizes: set[int] = set()
    evaluator.classifier.network.register_forward_pre_hook(lambda layer, given: sizes.add(len(given[0])))
    run_autoattack(evaluator, eps=EPS, seed=0)
    assert len(sizes) > 2
    sizes.clear()
    evaluator.classifier.compiled = True
    found = run_autoattack(evaluator, eps=EPS, seed=0)
    assert sizes == {16, 25}
    assert torch.equal(found.masks["apgd-t"], unbreakable)


def test_each_attack_acts_on_survivors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyautoattack import AutoAttack

    evaluator, _ = setting()
    calls: list[tuple[str, int]] = []
    whole = AutoAttack.run_standard_evaluation

    def counted(self: AutoAttack, x: Tensor, y: Tensor, /, **options: int) -> tuple[Tensor, Tensor]:
        calls.append((self.attacks_to_run[0], len(x)))
        assert self.apgd.n_restarts == self.apgd_targeted.n_restarts == 1
        assert self.apgd_targeted.n_target_classes == 5, "one class fewer than there are, at most 9"
        assert (self.apgd.n_iter, self.apgd_targeted.n_iter, self.epsilon) == (100, 100, EPS)
        return whole(self, x, y, **options)

    monkeypatch.setattr(AutoAttack, "run_standard_evaluation", counted)
    found = run_autoattack(evaluator, eps=EPS, seed=0)
    correct = evaluator.clean()[0]
    assert calls == [("apgd-ce", int(correct.sum())), ("apgd-t", int(found.masks["apgd-ce"].sum()))]
    for before, after in pairwise([correct, *found.masks.values()]):
        assert not (after & ~before).any(), "nothing that fell stands again"


def test_ten_classes_get_nine_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyautoattack import AutoAttack

    targets: list[int] = []
    monkeypatch.setattr(
        AutoAttack,
        "run_standard_evaluation",
        lambda self, x, y, **options: (targets.append(self.apgd_targeted.n_target_classes), (x, y))[1],
    )
    run_autoattack(setting(classes=10)[0], eps=EPS, seed=0)
    assert targets == [9, 9]


def test_what_an_attack_returns_is_clipped_and_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyautoattack import AutoAttack

    evaluator, unbreakable = setting()
    monkeypatch.setattr(AutoAttack, "run_standard_evaluation", lambda self, x, y, **options: (1 - x, y))
    found = run_autoattack(evaluator, eps=EPS, seed=0)
    assert found.outside > 0
    assert not (unbreakable & ~found.masks["apgd-t"]).any()


def test_nothing_global_is_left_changed() -> None:
    evaluator, _ = setting(n=10)
    torch.rand(1)
    before, trace = torch.get_rng_state(), sys.gettrace()
    run_autoattack(evaluator, eps=EPS, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert sys.gettrace() is trace


def test_the_seed_decides_and_the_global_generator_does_not() -> None:
    classifier = linear_classifier(classes=4, pixels=(3, 8, 8))
    images = torch.randint(0, 256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        labels = classifier(images / 255).argmax(1)
    masks = []
    for _ in range(2):
        torch.rand(3)
        evaluator = Evaluator(classifier, Split("x", images.to(torch.uint8), labels), Batches(50, lambda text: None))
        masks.append(run_autoattack(evaluator, eps=0.004, seed=5).masks["apgd-t"])
    assert torch.equal(*masks)


def test_memory_that_runs_out_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyautoattack import AutoAttack

    evaluator, unbreakable = setting()
    whole = AutoAttack.run_standard_evaluation

    def hungry(self: AutoAttack, x: Tensor, y: Tensor, /, *, batch_size: int) -> tuple[Tensor, Tensor]:
        if batch_size > 12:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return whole(self, x, y, batch_size=batch_size)

    monkeypatch.setattr(AutoAttack, "run_standard_evaluation", hungry)
    found = run_autoattack(evaluator, eps=EPS, seed=0)
    assert evaluator.batches.size == 12
    assert torch.equal(found.masks["apgd-t"], unbreakable)


def test_when_nothing_stands_nothing_is_attacked() -> None:
    evaluator, _ = setting(n=5)
    wrong = Split("wrong", evaluator.split.images, (evaluator.logits.argmax(1) + 1) % 6)
    found = run_autoattack(Evaluator(evaluator.classifier, wrong, evaluator.batches), eps=EPS, seed=0)
    assert percent(found.masks["apgd-t"]) == 0


def test_the_package_is_quiet_and_its_warnings_are_kept(capfd: pytest.CaptureFixture[str]) -> None:
    probabilities = Classifier(Linear(torch.zeros(5, 16), torch.full((5,), 0.2)))
    split = Split("x", torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.long))
    found = run_autoattack(Evaluator(probabilities, split, Batches(5, lambda text: None)), eps=EPS, seed=0)
    assert any("probability distribution" in text for text in found.warnings)
    assert any("zero gradient" in text for text in found.warnings)
    assert len(set(found.warnings)) == len(found.warnings)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_standard_autoattack_goes_on_with_fab_and_square() -> None:
    evaluator, unbreakable = setting(n=12)
    found = run_autoattack(evaluator, eps=EPS, seed=0, attacks=STANDARD)
    assert tuple(found.masks) == STANDARD
    assert torch.equal(found.masks["square"], unbreakable)
