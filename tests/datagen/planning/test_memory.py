"""The closed forms of memory against PyTorch's own saved tensors and allocations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from datagen.network.classifier import Classifier
from datagen.network.model import build_network
from datagen.planning.memory import GRAPHS, MemorySettings, estimate_memory, kept_for_backward
from datagen.training.losses import LOSSES
from nasbench_ar import NARES, SearchSpace

SMALL = SearchSpace((1, 2, 3), (1, 2, 3), stages=3, unit_channels=4, image_size=8, image_channels=1)
ODD = SearchSpace((1, 2), (1, 2), stages=2, unit_channels=3, image_size=9, classes=4)
WIDE = SearchSpace(unit_channels=4)  # the depths and widths of NARes
CASES = [
    (SMALL, "1-1-1-1-1-1"),  # the identity carries the stem's float32 through stage 1
    (SMALL, "3-1-2-3-1-2"),
    (SMALL, "2-3-1-1-3-2"),
    (ODD, "2-1-1-2"),
    (SearchSpace((2,), (1,), stages=1, unit_channels=4, image_size=8), "2-1"),  # float32 up to the head
    (WIDE, "4-8-5-10-4-8"),
]
SCALARS = 16  # bytes of the loss and the like, which the forms leave out


def vector(space: SearchSpace, name: str) -> np.ndarray:
    return space.vectors([name])


def step(classifier: Classifier, images: Tensor, *, attack: bool) -> Tensor:
    """The loss of one training or attack step, with its graph."""
    labels = torch.zeros(len(images), dtype=torch.long)
    if not attack:
        classifier.network.train()
        return F.cross_entropy(classifier(images), labels)
    with classifier.frozen():
        return F.cross_entropy(classifier(images.requires_grad_()), labels, reduction="none").sum()


def saved_bytes(space: SearchSpace, name: str, *, batch: int, precision: str, attack: bool) -> int:
    """Bytes of all storages that autograd keeps, weights aside."""
    network = build_network(space, name, seed=0)
    own = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    images = torch.rand(batch, space.image_channels, space.image_size, space.image_size)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = step(Classifier(network, precision=precision), images, attack=attack)
    total = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del loss
    return total


@pytest.mark.parametrize("attack", [False, True], ids=["training", "attack"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(("space", "name"), CASES, ids=[name for _, name in CASES])
def test_what_is_kept_for_backward(space: SearchSpace, name: str, precision: str, attack: bool) -> None:
    kept = kept_for_backward(space, vector(space, name), precision=precision, attack=attack)
    for batch in (2, 5):
        found = saved_bytes(space, name, batch=batch, precision=precision, attack=attack)
        expected = int(kept.fixed[0] + batch * kept.per_image[0])
        assert 0 <= found - expected <= SCALARS


@pytest.mark.parametrize("kind", ["attack", *LOSSES])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_peak_of_all_allocations_is_hardly_above(precision: str, kind: str) -> None:
    name, batch, attack = "4-8-5-10-4-8", 4, kind == "attack"
    classifier = Classifier(build_network(WIDE, name, seed=0), precision=precision)

    def once() -> None:
        images, labels = torch.rand(batch, 3, 32, 32), torch.zeros(batch, dtype=torch.long)
        if attack:
            loss = step(classifier, images, attack=True)
        else:
            loss, _ = LOSSES[kind](6.0).step(classifier, images, images.clone(), labels)
        loss.backward()

    once()
    classifier.network.zero_grad(set_to_none=True)  # as the loop does
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        once()
    assert profile.profiler is not None
    assert profile.profiler.kineto_results is not None
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    peak = int(np.cumsum(changes).max())
    kept = kept_for_backward(WIDE, vector(WIDE, name), precision=precision, attack=attack)
    gradients = 0 if attack else 4 * int(WIDE.params_many([name])[0])
    estimate = int(kept.of_batch(batch, GRAPHS.get(kind, 1))[0]) + gradients
    # Gradients come while activations go, so that a training step never has all of both.
    assert (0.88 if attack else 0.7) <= peak / estimate <= 1.02


def test_by_hand() -> None:
    """One stage of one block, one channel, 2x2 pixels, two classes, width 1."""
    space = SearchSpace((1,), (1,), stages=1, unit_channels=1, image_size=2, image_channels=1, classes=2)
    kept = kept_for_backward(space, np.array([[1, 1]]), precision="float32")
    # image, block input, activated, inner, inner activated, head input, activated: 7 * 4 values;
    # 1 for the linear layer, 2 log-probabilities, all of 4 bytes, and the label of 8
    assert kept.per_image.tolist() == [(7 * 4 + 1 + 2) * 4 + 8]
    assert kept.fixed.tolist() == [3 * 8]  # three batch norms
    assert kept.largest.tolist() == [16]
    assert kept.of_batch(2).tolist() == [24 + 2 * (132 + 4 * 16)]
    assert kept.of_batch(2, graphs=2).tolist() == [2 * (24 + 2 * 132) + 2 * 4 * 16]


def test_the_estimate_has_all_parts() -> None:
    indices = NARES.indices(["4-8-4-8-4-8", "WRN-70-16"])
    settings = MemorySettings(
        train_batch=128,
        evaluation_batch=1,
        train_precision="bf16",
        test_precision="tf32",
        images=62_000,
        test_images=10_000,
        overhead=7,
    )
    found = estimate_memory(NARES, indices, settings)
    assert found.training[1] > 3 * 4 * 266_796_506 + 62_000 * 3072  # weights, gradients, momentum, images
    assert found.test[1] < found.validation[1]  # neither gradients nor momentum
    np.testing.assert_array_equal(found.allocated, found.training)
    np.testing.assert_array_equal(found.total, found.training + 7)
    assert (np.diff(found.total) > 0).all()


def test_the_estimate_by_hand() -> None:
    """The parts of the space above: 4 pixels of one channel; kept per image and worked with as there."""
    space = SearchSpace((1,), (1,), stages=1, unit_channels=1, image_size=2, image_channels=1, classes=2)
    settings = MemorySettings(
        train_batch=3,
        evaluation_batch=2,
        train_precision="float32",
        test_precision="float32",
        images=100,
        test_images=50,
        overhead=0,
    )
    found = estimate_memory(space, np.array([0]), settings)
    weights = 4 * int(space.params_many(indices=np.array([0]))[0])
    images = 100 * (4 + 8)  # pixels of a byte, a label
    floats = 8 * 4 * 4  # copies of an image in a step
    attacked = 132 - 4 + 4 * 16  # nothing for the linear layer's weights, no batch norm's deviations
    assert found.training.tolist() == [3 * weights + images + 24 + 3 * (132 + 4 * 16) + 3 * floats]
    assert found.validation.tolist() == [2 * weights + images + 2 * attacked + 2 * floats]
    assert found.test.tolist() == [weights + images + 2 * attacked + 2 * floats + 50 * 4 * 4 * 4]
    assert found.allocated.tolist() == [max(*found.training, *found.validation, *found.test)]
    assert found.allocated.tolist() == found.test.tolist()
    averaged = estimate_memory(space, np.array([0]), replace(settings, averaged=True))
    for one in ("training", "validation", "test"):
        more = getattr(averaged, one) - getattr(found, one)
        assert more.tolist() == [0 if one == "test" else weights]
