"""GPU memory that a training takes, in closed form, without PyTorch.

What PyTorch keeps of one image for the backward pass follows from `model.WideResNet`.
With C channels and a side of s pixels, a block from (C, s) to (C', s') keeps

- its input, for the batch norm: C s^2 values;
- the activated input, which ReLU writes in place and both convolutions share: C s^2;
- the output of the first convolution, for the second batch norm: C' s'^2;
- that output activated: C' s'^2.

Its sum is the next block's input.  The stem adds its image, the head its input, the
activated input, C for the linear layer and the log-probabilities.  Attacks differentiate
by the image alone and keep the same, less the C of the linear layer.

In float32 all of these have 4 bytes, under a 16-bit autocast 2, except that the stem's
output is float32: while the identity carries it on (stage 1, if its width equals the
stem's), input and activated input stay float32, and every convolution keeps a 16-bit
copy of its own.  16-bit copies of the stages' convolution weights are kept as well.

Losses that train on clean images too (trades, mart) keep all this twice.

In addition: 4 bytes a parameter for weights, gradients, momentum and average each (no gradients in the
validation, weights alone in the test), the images on the device, a batch of images in some
copies, and four of the largest activations, with which backward computes.
`tests/datagen/planning/test_memory.py` compares the kept part with PyTorch's saved tensors,
to the byte, and the whole with the peak of all allocations of a training step on a processor.

What a card must have besides is the overhead, `overhead_gb=`: the CUDA context with its
kernels (some hundred megabytes), cuDNN's workspaces, and what PyTorch's allocator reserves
beyond what it has given out.  It is assumed, not measured; `datagen.plan store=...` compares
these estimates with `peak_memory_mib` of entries made on CUDA, which has workspaces but
neither context nor fragmentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasbench_ar.arrays import IntArray

if TYPE_CHECKING:
    from nasbench_ar import SearchSpace

GRAPHS = {"pgd_at": 1, "trades": 2, "mart": 2}  # batches whose activations a training step keeps at a time
BATCH_COPIES = 8  # clean, noise, bounds, iterate, gradient and their like, float32
TEST_COPIES = 4  # of all test images that AutoAttack works on, float32
WORKING_ACTIVATIONS = 4
CARDS_GB = (16, 24, 40, 80)
GB = 10**9


def gigabytes(number: float) -> int:
    """In bytes."""
    return int(number * GB)


@dataclass(frozen=True)
class Kept:
    """Bytes kept for the backward pass, (n,) int64 each: per image, fixed, and the largest activation of one image."""

    per_image: IntArray
    fixed: IntArray
    largest: IntArray

    def of_batch(self, batch: int, graphs: int = 1) -> IntArray:
        """Bytes of one or more batches, with the backward pass's working memory."""
        return graphs * (self.fixed + batch * self.per_image) + batch * WORKING_ACTIVATIONS * self.largest


def kept_for_backward(space: SearchSpace, vectors: IntArray, *, precision: str, attack: bool = False) -> Kept:
    """For (n, dimensions) int64 vectors; an `attack` differentiates by the image, in evaluation mode."""
    half = precision in ("bf16", "fp16")
    inner = 2 if half else 4
    ones = np.ones(len(vectors), dtype=np.int64)
    channels, side = space.unit_channels * ones, space.image_size
    stream = 4 * ones  # bytes of a value that the identity carries
    per_image = 4 * ones * space.image_channels * side**2
    norms, weights = 0 * ones, 0 * ones
    largest = 4 * channels * side**2
    for stage in range(space.stages):
        depths, out = vectors[:, 2 * stage], space.unit_channels * 2**stage * vectors[:, 2 * stage + 1]
        out_side = side if stage == 0 else -(-side // 2)
        projected = (channels != out) | (stage > 0)
        for first, blocks in ((True, ones), (False, depths - 1)):
            copies = np.where(stream > inner, inner * (1 + projected * first), 0)
            per_image = per_image + blocks * (2 * stream + copies) * channels * side**2
            per_image = per_image + blocks * 2 * inner * out * out_side**2
            norms = norms + blocks * (channels + out)
            weights = weights + blocks * (9 * channels * out + 9 * out * out + first * projected * channels * out)
            stream = np.where(projected, inner, stream)
            channels, side = out, out_side
        largest = np.maximum(largest, stream * out * side**2)
    per_image = per_image + 2 * stream * channels * side**2 + 4 * space.classes + 8
    norms = norms + channels
    fixed = 2 * weights if half else 0 * ones
    if not attack:
        per_image = per_image + 4 * channels
        fixed = fixed + 8 * norms  # mean and inverse deviation of the batch
    return Kept(per_image, fixed, largest)


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """Besides the architecture.

    Precisions are resolved; of the `images` on the device `test_images` are the test's; `overhead` is in bytes.
    """

    train_batch: int
    train_graphs: int = 1
    averaged: bool = False
    evaluation_batch: int
    train_precision: str
    test_precision: str
    images: int
    test_images: int
    overhead: int


@dataclass(frozen=True)
class MemoryEstimate:
    """(n,) int64 peak bytes: of a training step, of an attack between epochs, of an attack in the test."""

    training: IntArray
    validation: IntArray
    test: IntArray
    overhead: int

    @property
    def allocated(self) -> IntArray:
        """The largest of the three: what `peak_memory_mib` of an entry measures."""
        return np.maximum(self.training, np.maximum(self.validation, self.test))

    @property
    def total(self) -> IntArray:
        """With the overhead: what a card must have."""
        return self.allocated + self.overhead


def estimate_memory(space: SearchSpace, indices: NDArray[np.integer], settings: MemorySettings) -> MemoryEstimate:
    """GPU memory of trainings by the protocol, by index of their architectures."""
    vectors, weights = space.vectors(indices=indices), 4 * space.params_many(indices=indices)
    pixels = space.image_channels * space.image_size**2
    on_device = settings.images * (pixels + 8)
    floats = 4 * pixels * BATCH_COPIES
    step = kept_for_backward(space, vectors, precision=settings.train_precision)
    by_image = {
        purpose: kept_for_backward(space, vectors, precision=precision, attack=True)
        for purpose, precision in (("validation", settings.train_precision), ("test", settings.test_precision))
    }
    batch, copies = settings.evaluation_batch, int(settings.averaged)
    return MemoryEstimate(
        training=(3 + copies) * weights
        + on_device
        + step.of_batch(settings.train_batch, settings.train_graphs)
        + settings.train_batch * floats,
        validation=(2 + copies) * weights + on_device + by_image["validation"].of_batch(batch) + batch * floats,
        test=weights
        + on_device
        + by_image["test"].of_batch(batch)
        + batch * floats
        + settings.test_images * 4 * pixels * TEST_COPIES,
        overhead=settings.overhead,
    )
