"""Attacks against closed-form answers on linear models, and against another implementation where one is installed."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from datagen.attack.attacks import (
    Attack,
    batch_for,
    cross_entropy,
    cw_margin,
    fgsm,
    lipschitz,
    pgd,
    pgd_cw,
    training_attack,
)
from datagen.network.classifier import Classifier
from datagen.network.model import WideResNet, build_network
from datagen.seeds import generator
from nasbench_ar import SearchSpace
from tests.datagen.conftest import Linear, linear_classifier, random_images

EPS = 0.1


def two_classes() -> tuple[Classifier, Tensor]:
    """A classifier whose worst case is one corner of the ball, and the direction to it for label 0."""
    classifier = linear_classifier(classes=2)
    weight = classifier.network.weight
    return classifier, (weight[1] - weight[0]).sign().reshape(1, 4, 4)  # type: ignore[union-attr,operator]


def worst_case(images: Tensor, labels: Tensor, direction: Tensor) -> Tensor:
    towards = torch.where(labels[:, None, None, None] == 0, direction, -direction)
    return (images + EPS * towards).clamp(0, 1)


def attacks() -> dict[str, Attack]:
    return {
        "fgsm": fgsm(eps=EPS),
        "pgd": pgd(eps=EPS, step=EPS / 10, steps=20),
        "training": training_attack(eps=EPS, step=EPS / 4, steps=12, start_std=EPS / 4),
    }


@pytest.mark.parametrize("name", attacks())
def test_on_a_linear_model_every_attack_finds_the_worst_corner(name: str) -> None:
    classifier, direction = two_classes()
    images, labels = random_images(32), torch.arange(32) % 2
    attack = attacks()[name]
    found = attack.perturb(classifier, images, labels, attack.noise(images.shape, generator(0)))
    torch.testing.assert_close(found, worst_case(images, labels, direction), atol=1e-6, rtol=0)


def test_cw_moves_what_is_correct_until_it_is_not_and_leaves_the_rest() -> None:
    classifier, direction = two_classes()
    images, labels = random_images(64), torch.arange(64) % 2
    attack = pgd_cw(eps=EPS, step=EPS / 10, steps=40)
    noise = attack.noise(images.shape, generator(0))
    assert noise is not None
    start = (images + (2 * noise - 1) * EPS).clamp(0, 1)
    with torch.no_grad():
        wrong_at_start = classifier(start).argmax(1) != labels
        found = attack.perturb(classifier, images, labels, noise)
        breakable = classifier(worst_case(images, labels, direction)).argmax(1) != labels
        broken = classifier(found).argmax(1) != labels
    assert 5 < int(wrong_at_start.sum()) < 59
    assert torch.equal(found[wrong_at_start], start[wrong_at_start])
    assert torch.equal(broken, breakable)
    unbroken = ~breakable
    assert int(unbroken.sum()) > 0
    torch.testing.assert_close(found[unbroken], worst_case(images, labels, direction)[unbroken], atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_images_leave_cw_without_a_bit_changed(channels_last: bool) -> None:
    space = SearchSpace((1, 2), (1, 2), unit_channels=4, image_size=8)
    classifier = Classifier(build_network(space, "1-2-1-1-1-1", seed=0), channels_last=channels_last)
    images, sizes = random_images(200, (3, 8, 8)), list[int]()
    with torch.no_grad(), classifier.frozen():
        logits = classifier(images)
    labels = logits.argsort(1, descending=True)[torch.arange(200), torch.arange(200) % 2]  # half are wrong
    attack = pgd_cw(eps=8 / 255, step=1 / 255, steps=20, clipped=False)
    noise, losses = attack.noise(images.shape, generator(0)), dict[int, Tensor]()
    classifier.network.register_forward_pre_hook(lambda layer, given: sizes.append(len(given[0])))
    found = attack.perturb(classifier, images, labels, noise, lambda number, gradient, loss: losses.update({0: loss}))
    left = list(sizes)
    kept = replace(attack, leave=False)
    whole = kept.perturb(classifier, images, labels, noise, lambda number, gradient, loss: losses.update({1: loss}))
    assert torch.equal(found, whole)
    assert torch.equal(losses[0], losses[1])
    assert found.is_contiguous(memory_format=classifier.layout)
    assert left[:2] == [200, 200]
    assert left == sorted(left, reverse=True)
    assert sum(left) < 0.8 * sum(sizes[len(left) :])


def test_an_image_that_the_first_step_makes_right_again_stays_in_cw() -> None:
    """One dark pixel: it is class 1 below 0, where the start is, and class 0 at 0, where the ball ends."""
    classifier = Classifier(Linear(torch.tensor([[1.0], [0.0]]), torch.tensor([0.05, 0.0])))
    image, label = torch.zeros(1, 1, 1, 1), torch.tensor([0])
    attack = pgd_cw(eps=0.1, step=0.01, steps=3, clipped=False)
    seen: list[float] = []
    attack.perturb(classifier, image, label, torch.zeros(1, 1, 1, 1), lambda number, gradient, loss: seen.append(*loss))
    assert seen == pytest.approx([0.0, -0.05, -0.05])


def test_cw_ends_when_no_image_moves() -> None:
    classifier, seen = linear_classifier(), list[int]()
    images = random_images(20)
    with torch.no_grad():
        wrong = classifier(images).argmin(1)
    attack = pgd_cw(eps=1e-3, step=1e-4, steps=40)
    noise = attack.noise(images.shape, generator(0))
    found = attack.perturb(classifier, images, wrong, noise, lambda number, *_: seen.append(number))
    assert seen == [0, 1]
    assert torch.equal(found, replace(attack, leave=False).perturb(classifier, images, wrong, noise))


def test_few_sizes_of_batches() -> None:
    assert [batch_for(n, of=500) for n in (500, 449, 448, 385, 250, 128, 64, 63, 1, 0)] == [
        *(500, 500, 448, 448, 256, 128, 64, 64, 64, 0)
    ]
    assert {batch_for(n, of=40) for n in range(41)} == {0, 16, 32, 40}
    assert {batch_for(n, of=10) for n in range(11)} == {0, 10}


def test_cw_margin_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, 2.0, 1.0], [1.0, 1.0, -4.0]], requires_grad=True)
    margin = cw_margin(logits, torch.tensor([0, 0, 1]))
    assert margin.tolist() == [0.5, 0.0, 0.0]
    (gradient,) = torch.autograd.grad(margin.sum(), logits)
    assert gradient.tolist() == [[1.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_lipschitz_by_hand() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    moved = torch.tensor([[2.0, 0.0, 3.5], [0.0, 0.0, 1.0]])
    images = torch.zeros(2, 1, 1, 2)
    adversarial = torch.tensor([[0.25, -0.5], [0.0, 0.0]]).reshape(2, 1, 1, 2)
    found = lipschitz(logits, moved, images, adversarial).double()
    # 1e-6 is added to x - x' before the norm: |0.5 + 1e-6|, and 1e-6 where nothing moved.
    assert found[0].item() == pytest.approx(3.5 / 0.500001, rel=1e-6)
    assert found[1].item() == pytest.approx(1e6, rel=1e-3)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", ["fgsm", "pgd", "cw", "training"])
def test_examples_stay_in_the_ball_and_in_the_unit_range(name: str, steps: int) -> None:
    attack = {**attacks(), "cw": pgd_cw(eps=EPS, step=EPS, steps=steps)}[name]
    images, labels = random_images(16, seed=3), torch.arange(16) % 3
    found = attack.perturb(linear_classifier(), images, labels, attack.noise(images.shape, generator(1)))
    assert (found - images).abs().max() <= EPS + 1e-6
    assert 0 <= found.min() <= found.max() <= 1
    assert not found.requires_grad


def test_the_training_start_is_normal_and_not_clipped() -> None:
    attack = Attack(eps=EPS, step=EPS, steps=0, start="normal", start_std=0.5)
    images = random_images(64)
    found = attack.perturb(
        linear_classifier(), images, torch.zeros(64, dtype=torch.long), attack.noise(images.shape, generator(0))
    )
    assert (found - images).std().item() == pytest.approx(0.5, rel=0.1)
    assert found.min() < 0
    assert found.max() > 1


@pytest.mark.parametrize("start", ["clipped", "uniform"])
def test_the_uniform_start_is_clipped_or_not(start: Literal["clipped", "uniform"]) -> None:
    attack = Attack(eps=EPS, step=EPS, steps=0, start=start)
    images = random_images(64)
    assert images.min() < EPS / 10
    assert images.max() > 1 - EPS / 10
    found = attack.perturb(
        linear_classifier(), images, torch.zeros(64, dtype=torch.long), attack.noise(images.shape, generator(0))
    )
    assert (found.min() == 0, found.max() == 1) == (start == "clipped",) * 2
    assert (found.min() < 0, found.max() > 1) == (start == "uniform",) * 2
    assert (found - images).abs().max() <= EPS + 1e-6


@pytest.mark.parametrize("name", ["fgsm", "pgd", "training"])
def test_images_are_left_as_they_were(name: str) -> None:
    images, attack = random_images(8), attacks()[name]
    before = images.clone()
    attack.perturb(
        linear_classifier(), images, torch.zeros(8, dtype=torch.long), attack.noise(images.shape, generator(0))
    )
    assert torch.equal(images, before)
    assert not images.requires_grad


def test_the_uniform_start_fills_the_ball() -> None:
    attack = pgd(eps=EPS, step=EPS, steps=1)
    noise = attack.noise(torch.Size((64, 1, 4, 4)), generator(0))
    assert noise is not None
    assert noise.min() < 0.01
    assert noise.max() > 0.99
    assert noise.mean().item() == pytest.approx(0.5, abs=0.03)


class Watched(nn.Module):
    """Counts how it is called; batch-norm and dropout would show a wrong mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.linear = nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Linear(16, 3)
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append((self.training, self.linear.weight.requires_grad))
        logits: Tensor = self.linear(self.drop(self.norm(x)).flatten(1))
        return logits


def test_attacks_run_in_eval_mode_and_leave_no_gradient_on_weights() -> None:
    network = Watched().train()
    network.drop.eval()
    network.norm.weight.requires_grad_(False)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    images, labels = random_images(8), torch.zeros(8, dtype=torch.long)
    attack = pgd(eps=EPS, step=EPS / 2, steps=3)
    attack.perturb(Classifier(network), images, labels, attack.noise(images.shape, generator(0)))
    assert network.modes == [(False, False)] * 3
    assert all(weight.grad is None for weight in network.parameters())
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert network.training
    assert not network.drop.training, "modes are put back one by one"
    assert network.linear.weight.requires_grad
    assert not network.norm.weight.requires_grad


def test_modes_are_put_back_when_an_attack_fails() -> None:
    network = Watched().train()
    with pytest.raises(RuntimeError):
        fgsm(eps=EPS).perturb(Classifier(network), random_images(2, (1, 3, 3)), torch.zeros(2, dtype=torch.long))
    assert network.training
    assert network.linear.weight.requires_grad


def test_noise_is_required_where_the_start_is_random() -> None:
    with pytest.raises(ValueError, match="needs noise"):
        pgd(eps=EPS, step=EPS, steps=1).perturb(linear_classifier(), random_images(1), torch.zeros(1, dtype=torch.long))


def test_watching_sees_every_gradient() -> None:
    seen: list[int] = []
    zero = Classifier(Linear(torch.zeros(3, 16), torch.zeros(3)))
    attack = pgd(eps=EPS, step=EPS, steps=3)
    images = random_images(2)

    def watch(step: int, gradient: Tensor, loss: Tensor) -> None:
        assert (gradient == 0).all()
        torch.testing.assert_close(loss, torch.full((2,), 3.0).log())
        seen.append(step)

    attack.perturb(zero, images, torch.zeros(2, dtype=torch.long), attack.noise(images.shape, generator(0)), watch)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("name", ["fgsm", "pgd", "training"])
def test_attacked_images_are_leaves_in_the_networks_layout_and_never_copied(name: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    given: list[Tensor] = []
    network.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
    images, labels = random_images(8, (3, 4, 4)), torch.arange(8) % 3
    attack = attacks()[name]
    noise = attack.noise(images.shape, generator(0))
    plain = attack.perturb(Classifier(network), images, labels, noise)
    given.clear()
    found = attack.perturb(Classifier(network, channels_last=True), images, labels, noise)
    assert len(given) == attack.steps
    assert all(one.is_leaf and one.requires_grad for one in given)
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in (*given, found))
    torch.testing.assert_close(found, plain)


def test_on_a_fake_gpu_they_are_leaves_in_that_layout_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake CUDA tensors have shapes and layouts as PyTorch works them out, and no values; backward needs a true GPU."""

    def gradient(loss: Tensor, images: Tensor) -> tuple[Tensor]:
        return (torch.zeros_like(images, memory_format=torch.contiguous_format),)  # the layout is another

    monkeypatch.setattr(torch.autograd, "grad", gradient)
    space = SearchSpace(unit_channels=2, image_size=8)
    given: list[Tensor] = []
    with FakeTensorMode(), torch.device("cuda"):
        network = WideResNet(space, space.parse("4-8-4-8-4-8"))
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight = nn.Parameter(layer.weight.detach().contiguous(memory_format=torch.channels_last))
        network.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
        classifier = Classifier(network, precision="tf32")
        classifier.layout = torch.channels_last  # fake weights cannot be moved in place
        images, labels, noise = torch.rand(4, 3, 8, 8), torch.zeros(4, dtype=torch.long), torch.rand(4, 3, 8, 8)
        found = attacks()["pgd"].perturb(classifier, images, labels, noise)
    assert len(given) == 20
    assert all(one.is_leaf and one.is_contiguous(memory_format=torch.channels_last) for one in given)
    assert (found.device.type, found.dtype) == ("cuda", torch.float32)


@pytest.mark.filterwarnings("error")
def test_a_compiled_network_is_attacked_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))  # no C++ compiler
    space = SearchSpace(depth_choices=(1, 2), width_choices=(1, 2), unit_channels=4, image_size=8)
    network = build_network(space, [2, 1, 1, 2, 1, 1], seed=0)
    images, labels, attack = random_images(8, (3, 8, 8)), torch.arange(8) % 10, attacks()["pgd"]
    noise = attack.noise(images.shape, generator(0))
    plain = attack.perturb(Classifier(network, channels_last=True), images, labels, noise)
    found = attack.perturb(Classifier(network, channels_last=True, compiled=True), images, labels, noise)
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "cw"])
def test_an_attack_hurts(name: str) -> None:
    attack = {**attacks(), "cw": pgd_cw(eps=EPS, step=EPS / 10, steps=40)}[name]
    classifier, images = linear_classifier(classes=5), random_images(200)
    with torch.no_grad():
        labels = classifier(images).argmax(1)
        found = attack.perturb(classifier, images, labels, attack.noise(images.shape, generator(0)))
        assert (classifier(found).argmax(1) == labels).float().mean() < 0.5


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("steps", [1, 7])
def test_against_torchattacks(steps: int) -> None:
    torchattacks = pytest.importorskip("torchattacks", reason="torchattacks is optional; install it to compare")
    random = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    for weight in network.parameters():
        nn.init.normal_(weight, 0, 0.2, generator=random)
    network.eval()
    images, labels = random_images(16, (3, 8, 8)), torch.arange(16) % 5
    ours = Attack(eps=EPS, step=EPS / 4, steps=steps, climb=cross_entropy).perturb(Classifier(network), images, labels)
    theirs = torchattacks.PGD(network, eps=EPS, alpha=EPS / 4, steps=steps, random_start=False)(images, labels)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    theirs = torchattacks.FGSM(network, eps=EPS)(images, labels)
    torch.testing.assert_close(fgsm(eps=EPS).perturb(Classifier(network), images, labels), theirs, atol=1e-6, rtol=0)
