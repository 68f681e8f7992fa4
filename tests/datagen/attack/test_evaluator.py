"""Diagnostics against hand-worked numbers, batches that shrink, results that do not depend on them."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datagen.attack import evaluator
from datagen.attack.attacks import Attack, fgsm, pgd, pgd_cw
from datagen.attack.evaluator import Batches, Evaluator, iterated_attacks, mean, percent, reclip, validate
from datagen.config import AttackConfig
from datagen.images.splits import Split
from datagen.network.classifier import Classifier
from datagen.seeds import generator
from nasbench_ar import TrainingError
from nasbench_ar.errors import one_line
from tests.datagen.conftest import Linear, linear_classifier

# Logits (x, 0.5) of one pixel x: class 0 above 0.5, class 1 below.
ONE_PIXEL = Linear(torch.tensor([[1.0], [0.0]]), torch.tensor([0.0, 0.5]))
EPS = 51 / 255


def quiet(size: int = 100) -> Batches:
    return Batches(size, lambda text: None)


def one_pixel_split() -> Split:
    pixels = torch.tensor([255, 153, 102, 0], dtype=torch.uint8)  # x = 1, 0.6, 0.4, 0
    return Split("pixels", pixels.reshape(4, 1, 1, 1), torch.tensor([0, 0, 0, 1]))


def test_fgsm_on_four_pixels_by_hand() -> None:
    # The attack lowers x for label 0 and raises it for label 1: x' = 0.8, 0.4, 0.2, 0.2.
    evaluator = Evaluator(Classifier(ONE_PIXEL), one_pixel_split(), quiet())
    correct, loss = evaluator.clean()
    assert correct.tolist() == [True, True, False, True]
    outcome = evaluator.attacked(fgsm(eps=EPS), 0)
    assert outcome.correct.tolist() == [True, False, False, True]
    assert outcome.stable.tolist() == [True, False, True, True]
    assert (percent(outcome.correct), percent(outcome.stable)) == (50.0, 75.0)
    # |x - x'| is both the change of the logits and of the input, up to the 1e-6 added to x - x'.
    assert mean(outcome.lip) == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(outcome.loss, loss)  # before the only step
    assert not outcome.zero_gradient.any()


def test_validation_by_hand() -> None:
    config = AttackConfig(eps_255=51, step_255=5.1, pgd_steps=20, cw_steps=40)
    found = validate(Classifier(ONE_PIXEL), one_pixel_split(), config, quiet(), seed=0, epoch=3)
    assert found["val_clean_acc"] == 75.0
    assert (found["val_pgd_acc"], found["val_cw_acc"]) == (50.0, 50.0)
    assert (found["val_pgd_stable"], found["val_cw_stable"]) == (75.0, 75.0)
    # PGD-CW leaves the third pixel wherever it started, since it is wrong from the outset, and
    # the second where it crossed 0.5; the margins left are 0.3 for the first and the last.
    # A hundred such images have -15, as the authors count.
    assert found["val_cw_loss"] == pytest.approx(-15, abs=1e-3)
    assert found["val_pgd_loss"] > found["val_loss"]
    assert found["val_pgd_lip"] == pytest.approx(1.0, abs=1e-4)


def test_validation_by_the_book() -> None:
    """The authors' loop, in batches of 100: a start that is not clipped, and losses before the last step."""
    classifier, split = linear_split(200)
    config, seed, epoch = AttackConfig(eps_255=25, step_255=4, pgd_steps=3, cw_steps=4), 3, 2
    found = validate(classifier, split, config, quiet(70), seed=seed, epoch=epoch)
    network, images, eps = classifier.network, split.images / 255, 25 / 255
    for name, steps in (("pgd", 3), ("cw", 4)):
        noise = torch.rand(images.shape, generator=generator(seed, "validation", epoch, name))
        losses, right, kept, lips = [], 0, 0, []
        for start in (0, 100):
            x, y = images[start : start + 100], split.labels[start : start + 100]
            moved = x + (2 * noise[start : start + 100] - 1) * eps
            for _ in range(steps):
                moved = moved.detach().requires_grad_()
                logits = network(moved)
                if name == "pgd":
                    loss = nn.functional.cross_entropy(logits, y)
                else:
                    others = logits.masked_fill(nn.functional.one_hot(y, 3).bool(), -torch.inf).max(1).values
                    loss = -torch.clamp(logits[torch.arange(100), y] - others, min=0).sum()
                (gradient,) = torch.autograd.grad(loss, moved)
                moved = moved.detach() + 4 / 255 * gradient.sign()
                moved = torch.min(torch.max(moved, x - eps), x + eps).clamp(0, 1)
            losses.append(loss.item())
            with torch.no_grad():
                clean, logits = network(x), network(moved)
            right += int((logits.argmax(1) == y).sum())
            kept += int((logits.argmax(1) == clean.argmax(1)).sum())
            lips.append((clean - logits).abs().sum(1) / (x - moved + 1e-6).flatten(1).abs().max(1).values)
        assert found[f"val_{name}_loss"] == pytest.approx(sum(losses) / 2, rel=1e-5)
        assert (found[f"val_{name}_acc"], found[f"val_{name}_stable"]) == (right / 2, kept / 2)
        assert found[f"val_{name}_lip"] == pytest.approx(float(torch.cat(lips).mean()), rel=1e-5)
        assert abs(found[f"val_{name}_loss"]) > 0.1


def test_zero_gradients_are_seen() -> None:
    flat = Classifier(Linear(torch.tensor([[1e4], [0.0]]), torch.tensor([0.0, 5e3])))
    outcome = Evaluator(flat, one_pixel_split(), quiet()).attacked(fgsm(eps=EPS), 0)
    assert outcome.zero_gradient.tolist() == [True, True, False, True]


def test_only_the_first_gradient_counts() -> None:
    class Later(Attack):
        def perturb(self, classifier: Any, images: Tensor, labels: Tensor, noise: Any = None, watch: Any = None) -> Any:
            first = torch.ones_like(images)
            first[0] = 0
            watch(0, first, torch.zeros(len(images)))
            watch(1, torch.zeros_like(images), torch.zeros(len(images)))
            return images

    evaluator = Evaluator(Classifier(ONE_PIXEL), one_pixel_split(), quiet())
    outcome = evaluator.attacked(Later(eps=EPS, step=EPS, steps=2), 0)
    assert outcome.zero_gradient.tolist() == [True, False, False, False]


def test_every_epoch_is_validated_from_starts_of_its_own() -> None:
    classifier, split = linear_split()
    config = AttackConfig(eps_255=25, step_255=0.1, pgd_steps=1, cw_steps=1)
    first, again, later = (validate(classifier, split, config, quiet(), seed=0, epoch=e) for e in (0, 0, 1))
    assert first == again
    assert first["val_loss"] == later["val_loss"]
    assert first["val_pgd_loss"] != later["val_pgd_loss"]
    assert first["val_cw_loss"] != later["val_cw_loss"]


def linear_split(n: int = 50) -> tuple[Classifier, Split]:
    random = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=random)
    return linear_classifier(), Split("random", images, torch.arange(n) % 3)


@pytest.mark.parametrize("size", [1, 7, 50])
def test_the_batch_size_changes_nothing(size: int) -> None:
    classifier, split = linear_split()
    attack = pgd(eps=0.1, step=0.02, steps=3)
    reference = Evaluator(classifier, split, quiet()).attacked(attack, 3, "test")
    found = Evaluator(classifier, split, quiet(size)).attacked(attack, 3, "test")
    assert torch.equal(found.correct, reference.correct)
    torch.testing.assert_close(found.lip, reference.lip, atol=1e-3, rtol=1e-4)


def test_seed_and_purpose_decide_the_start() -> None:
    classifier, split = linear_split()
    attack = pgd(eps=0.1, step=0.001, steps=1)
    evaluator = Evaluator(classifier, split, quiet())
    first, again, other = (evaluator.attacked(attack, seed, "test").loss for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, evaluator.attacked(attack, 0, "validation", 1).loss)


class Hungry(nn.Module):
    """Runs out of memory above a number of images."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__()
        self.limit, self.error, self.seen = limit, error, 0
        self.weight = nn.Parameter(torch.zeros(3, 16))

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.limit:
            raise self.error
        self.seen += len(x)
        return x.flatten(1) @ self.weight.T


OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda e: type(e).__name__)
def test_batches_are_halved_when_memory_runs_out_and_it_is_said(error: Exception) -> None:
    said: list[str] = []
    batches = Batches(40, said.append)
    network = Hungry(12, error)
    _, split = linear_split(50)
    evaluator = Evaluator(Classifier(network), split, batches)
    assert evaluator.logits.shape == (50, 3)
    assert network.seen == 50, "no image is computed twice"
    assert batches.size == 10
    assert said == [
        f"out of memory; evaluation goes on with batches of {half} instead of {2 * half} ({one_line(error)})"
        for half in (20, 10)
    ]


def test_batches_are_halved_down_to_a_single_image() -> None:
    batches = quiet(3)
    _, split = linear_split(4)
    assert Evaluator(Classifier(Hungry(1, OUT_OF_MEMORY[0])), split, batches).logits.shape == (4, 3)
    assert batches.size == 1


def test_a_single_image_too_many_is_an_error() -> None:
    _, split = linear_split(4)
    with pytest.raises(TrainingError, match=r"out of memory with a single image; .* \(CUDA out of memory\. Tried"):
        Evaluator(Classifier(Hungry(0, OUT_OF_MEMORY[0])), split, quiet())


def test_memory_is_given_back_before_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []
    monkeypatch.setattr(evaluator, "release_memory", lambda: events.append("released"))

    def work(size: int) -> int:
        events.append(size)
        if size > 3:
            raise MemoryError
        return size

    assert quiet(12).retry(work) == 3
    assert events == [12, "released", 6, "released", 3]


def test_and_nothing_holds_the_tensors_of_the_failed_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []
    monkeypatch.setattr(evaluator, "release_memory", lambda: alive.append(held[0]() is not None))

    def work(size: int) -> int:
        batch = torch.zeros(size)
        held.append(weakref.ref(batch))
        if size > 1:
            raise MemoryError
        return size

    quiet(2).retry(work)
    assert alive == [False]


def test_the_iterated_attacks_of_a_configuration() -> None:
    config = AttackConfig(eps_255=51, step_255=5.1, pgd_steps=20, cw_steps=40)
    assert iterated_attacks(config) == {
        "pgd": pgd(eps=51 / 255, step=5.1 / 255, steps=20),
        "cw": pgd_cw(eps=51 / 255, step=5.1 / 255, steps=40),
    }
    assert {name: attack.start for name, attack in iterated_attacks(config).items()} == {
        "pgd": "clipped",
        "cw": "clipped",
    }
    unclipped = iterated_attacks(config, clipped=False)
    assert {name: attack.start for name, attack in unclipped.items()} == {"pgd": "uniform", "cw": "uniform"}


def test_other_errors_pass() -> None:
    _, split = linear_split(4)
    with pytest.raises(RuntimeError, match="mat1"):
        Evaluator(Classifier(Hungry(0, RuntimeError("mat1 and mat2 shapes"))), split, quiet())


def test_reclip() -> None:
    images = torch.tensor([0.05, 0.5, 0.95])
    found = reclip(images, torch.tensor([-1.0, 0.7, 2.0]), 0.1)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.6, 1.0]))


def test_the_harness_does_not_trust_an_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = Evaluator(Classifier(ONE_PIXEL), one_pixel_split(), quiet())
    attack = fgsm(eps=1 / 255)
    monkeypatch.setattr(type(attack), "perturb", lambda self, classifier, images, *rest: 1 - images)
    assert attack.perturb(None, torch.tensor([1.0]), None).tolist() == [0.0]  # type: ignore[arg-type]
    outcome = evaluator.attacked(attack, 0)
    assert outcome.correct.tolist() == [True, True, False, True], "clipped back into the ball, nothing is broken"


def test_bf16_gives_float32_logits() -> None:
    classifier = linear_classifier()
    rounded = Classifier(classifier.network, precision="bf16")
    images = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact, found = classifier(images), rounded(images)
    assert found.dtype == torch.float32
    assert not torch.equal(exact, found)
    torch.testing.assert_close(exact, found, atol=0.1, rtol=0.05)


def test_measure_is_accuracy_and_loss_on_other_images() -> None:
    evaluator = Evaluator(Classifier(ONE_PIXEL), one_pixel_split(), quiet())
    correct, loss = evaluator.clean()
    acc, mean = evaluator.measure(one_pixel_split().images)
    assert acc == 100 * float(correct.double().mean())
    assert mean == pytest.approx(float(loss.double().mean()))
    assert evaluator.measure(255 - one_pixel_split().images)[0] == 25.0
