"""What would run on a GPU, traced without one: devices, types and layouts of every layer, and what is compiled.

Fake tensors say that they are on CUDA and have no numbers.  What needs numbers or a driver cannot be traced so:

- autograd: PyTorch's CUDA build asks the driver for a context, so gradients here are empty ones of the right form;
- the memory layout of convolutions in bfloat16: without a card cuDNN is taken to have none, and the fake ones are NCHW;
- the fused step of SGD, which has no fake form: what it gets is checked;
- the look at the loss at the end of an epoch, and AutoAttack, which indexes by what it has found.

Whole trainings, compiled, and AutoAttack run on the processor instead, under its autocast.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode, unset_fake_temporarily

from datagen.attack import attacks as attacks_module
from datagen.attack import autoattack
from datagen.attack.attacks import Attack
from datagen.attack.evaluator import Batches, Evaluator, iterated_attacks
from datagen.config import AttackConfig, RunConfig, TrainConfig
from datagen.images.splits import Dataset, Split
from datagen.network.classifier import AUTOCAST, Classifier
from datagen.network.model import Block, build_network
from datagen.training import train as training
from nasbench_ar import SearchSpace

SPACE = SearchSpace(depth_choices=(1, 3), width_choices=(1, 2), unit_channels=8, image_size=8)
ARCHITECTURE = [3, 2, 1, 2, 1, 1]
CUDA = torch.device("cuda", 0)
PRECISIONS = ["bf16", "fp16", "float32"]
NHWC = torch.channels_last
ONE_STAGE = SearchSpace(depth_choices=(3,), width_choices=(2,), stages=1, unit_channels=8, image_size=8)


@dataclass(frozen=True)
class Seen:
    """One call of a layer."""

    name: str
    layer: nn.Module
    training: bool
    image: Tensor
    out: Tensor


def build(
    precision: str, space: SearchSpace = SPACE, architecture: Sequence[int] = ARCHITECTURE, **how: bool
) -> Classifier:
    """A real one, on the processor."""
    with unset_fake_temporarily():
        return Classifier(build_network(space, architecture, seed=0), precision=precision, channels_last=True, **how)


def move_to_fake_cuda(network: nn.Module) -> None:
    """In place, with the layouts that they have; `Module.to` cannot replace by fake tensors."""
    for module in network.modules():
        for kept in (module._parameters, module._buffers):
            for name, value in list(kept.items()):
                if value is not None:
                    fake = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=CUDA)
                    kept[name] = nn.Parameter(fake) if isinstance(value, nn.Parameter) else fake


def watch_layers(network: nn.Module) -> list[Seen]:
    calls: list[Seen] = []
    for name, layer in network.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(
                lambda layer, given, out, name=name: calls.append(Seen(name, layer, layer.training, given[0], out))
            )
    return calls


def split(n: int, device: torch.device | str = CUDA) -> Split:
    images = torch.zeros(n, 3, 8, 8, dtype=torch.uint8, device=device)
    return Split("fake", images, torch.zeros(n, dtype=torch.int64, device=device))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tensor]]:
    """Fake CUDA; the list has all gradients that were asked for by image."""
    gradients: list[Tensor] = []

    def by_image(loss: Tensor, image: Tensor) -> tuple[Tensor]:
        assert (loss.ndim, loss.device, image.is_leaf) == (0, CUDA, True)
        gradients.append(torch.empty_like(image))
        return (gradients[-1],)

    def backward(loss: Tensor, network: nn.Module) -> None:
        assert (loss.ndim, loss.dtype) == (0, torch.float32)
        for weight in network.parameters():
            weight.grad = torch.empty_like(weight)

    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.autograd, "grad", by_image)
    monkeypatch.setattr(training, "generator", lambda *purpose, device: torch.Generator())
    monkeypatch.setattr(Attack, "noise", lambda attack, shape, random: torch.randn(shape, device=CUDA))
    networks: list[nn.Module] = []
    build_optimiser = training.build_optimiser

    def step(optimiser: torch.optim.SGD) -> None:
        for group in optimiser.param_groups:
            assert group["fused"]
            for weight in group["params"]:
                assert (weight.grad.dtype, weight.grad.device) == (torch.float32, CUDA)
                assert weight.grad.stride() == weight.stride()

    def remember(network: nn.Module, *rest: Any) -> torch.optim.SGD:
        networks.append(network)
        return build_optimiser(network, *rest)

    monkeypatch.setattr(training, "build_optimiser", remember)
    monkeypatch.setattr(torch.optim.SGD, "step", step)
    monkeypatch.setattr(Tensor, "backward", lambda loss: backward(loss, networks[-1]))
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield gradients


def check_layers(calls: list[Seen], precision: str, device: torch.device = CUDA) -> None:
    """Stem and linear layer compute in float32, what is between them as the precision says, all of it channels-last."""
    inner = AUTOCAST.get(precision, torch.float32)
    assert calls
    for call in calls:
        where = f"{call.name} of a {'training' if call.training else 'frozen'} network in {precision}"
        assert call.image.device == call.out.device == device, where
        if call.out.ndim == 4 and (precision != "bf16" or device != CUDA or call.name == "stem"):
            assert all(value.is_contiguous(memory_format=NHWC) for value in (call.image, call.out)), where
        if isinstance(call.layer, nn.Conv2d):
            assert call.layer.weight.is_contiguous(memory_format=NHWC), where
            assert call.out.dtype == (torch.float32 if call.name == "stem" else inner), where
        elif isinstance(call.layer, nn.BatchNorm2d):
            assert call.out.dtype == call.image.dtype, where
            assert call.layer.weight.dtype == torch.float32, where
        else:
            assert (call.name, call.image.dtype, call.out.dtype) == ("linear", torch.float32, torch.float32), where
        for weight in call.layer.parameters():
            assert (weight.dtype, weight.device) == (torch.float32, device), where


@pytest.mark.parametrize("precision", PRECISIONS)
def test_training_steps(fake: list[Tensor], tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = build(precision)
    move_to_fake_cuda(classifier.network)
    calls = watch_layers(classifier.network)
    clipped = []
    clip = nn.utils.clip_grad_norm_
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", lambda *args: clipped.append(clip(*args)) or clipped[-1])
    data = Dataset("fake", split(16), split(8), split(8), classes=10)
    config = RunConfig(train=TrainConfig(batch=8, steps=3), attack=AttackConfig())
    batches = Batches(8, lambda text: None)
    with pytest.raises(DataDependentOutputException):  # after the last step of the epoch, which looks at the loss
        training.train(classifier, data, config, folder=tmp_path, identity={}, batches=batches, say=lambda text: None)
    check_layers(calls, precision)
    assert [number for number, _ in itertools.groupby(call.training for call in calls)] == [False, True] * 2
    assert len(fake) == 2 * 3  # two steps of three attack steps
    for gradient in fake:
        assert gradient.is_contiguous(memory_format=NHWC)
        assert gradient.dtype == torch.float32
    assert [(norm.device, norm.dtype) for norm in clipped] == [(CUDA, torch.float32)] * 2


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("clipped", [False, True])
def test_attacks_of_validation_and_test(
    fake: list[Tensor], precision: str, clipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = itertools.cycle([40, 17, 0])  # after the steps from the second on
    monkeypatch.setattr(attacks_module, "_count", lambda flags: next(standing))
    classifier = build(precision)
    move_to_fake_cuda(classifier.network)
    calls = watch_layers(classifier.network)
    evaluator = Evaluator(classifier, split(80), Batches(40, lambda text: None))
    assert evaluator.logits.device.type == "cpu"
    attacks = iterated_attacks(AttackConfig(pgd_steps=2, cw_steps=9), clipped=clipped)
    for attack in attacks.values():
        outcome = evaluator.attacked(attack, 0)
        assert {value.device.type for value in vars(outcome).values()} == {"cpu"}
        assert (outcome.correct.dtype, outcome.loss.dtype, outcome.lip.dtype) == (torch.bool, *[torch.float32] * 2)
    check_layers(calls, precision)
    assert not any(call.training for call in calls)
    assert [len(gradient) for gradient in fake] == [40] * 4 + [40, 40, 40, 32] * 2  # of two batches each
    assert all(gradient.is_contiguous(memory_format=NHWC) for gradient in fake)


def test_a_stem_in_bfloat16_is_found(fake: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above can fail: here the stem follows the autocast."""
    from datagen.network import model

    monkeypatch.setattr(model, "full_precision", lambda device: torch.autocast(device, torch.bfloat16))
    classifier = build("bf16")
    move_to_fake_cuda(classifier.network)
    calls = watch_layers(classifier.network)
    Evaluator(classifier, split(4), Batches(4, lambda text: None))
    with pytest.raises(AssertionError, match="stem of a frozen network in bf16"):
        check_layers(calls, "bf16")


def test_images_in_another_layout_are_found(fake: list[Tensor]) -> None:
    classifier = build("bf16")
    classifier.layout = torch.contiguous_format
    move_to_fake_cuda(classifier.network)
    calls = watch_layers(classifier.network)
    Evaluator(classifier, split(4), Batches(4, lambda text: None))
    with pytest.raises(AssertionError, match="stem of a frozen network"):
        check_layers(calls, "bf16")


Compiled = Callable[[str], tuple[Classifier, CompileCounterWithBackend]]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Compiled:
    """A compiled classifier without a C++ compiler, in which a graph break is an error."""

    def make(precision: str) -> tuple[Classifier, CompileCounterWithBackend]:
        torch.compiler.reset()
        backend = CompileCounterWithBackend("aot_eager")
        with monkeypatch.context() as patch:
            patch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend, fullgraph=True))
            return build(precision, ONE_STAGE, [3, 2], compiled=True), backend

    return make


@pytest.mark.parametrize("precision", PRECISIONS)
def test_blocks_of_a_shape_share_their_graphs(compiled: Compiled, precision: str, tmp_path: Path) -> None:
    """One in training, one of a frozen network that is attacked, one without gradients; in all steps and epochs."""
    classifier, backend = compiled(precision)
    blocks = [module for module in classifier.network.modules() if isinstance(module, Block)]
    shapes = {(block.conv1.in_channels, block.conv1.out_channels, block.conv1.stride) for block in blocks}
    data = Dataset("black", *(split(n, "cpu") for n in (16, 8, 8)), classes=10)
    config = RunConfig(train=TrainConfig(epochs=2, batch=8, steps=2), attack=AttackConfig(pgd_steps=2, cw_steps=2))
    batches = Batches(8, lambda text: None)
    training.train(classifier, data, config, folder=tmp_path, identity={}, batches=batches, say=lambda text: None)
    assert (len(shapes), len(blocks)) == (2, 3)
    assert backend.frame_count == 3 * len(shapes)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_autoattack(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adversary = autoattack._adversary

    def short(*args: Any) -> Any:
        found = adversary(*args)
        found.apgd.n_iter = found.apgd_targeted.n_iter = 2
        return found

    monkeypatch.setattr(autoattack, "_adversary", short)
    classifier = build(precision)
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batches = Batches(3, lambda text: None)
    found = Evaluator(classifier, Split("noise", images, torch.zeros(3, dtype=torch.int64)), batches)
    calls = watch_layers(classifier.network)
    evaluator = Evaluator(classifier, Split("noise", images, found.logits.argmax(1)), batches, found.logits)
    autoattack.run_autoattack(
        evaluator, eps=0.1 / 255, seed=0
    )  # so small a radius that some images stand in each attack
    check_layers(calls, precision, torch.device("cpu"))
    assert not any(call.training for call in calls)
