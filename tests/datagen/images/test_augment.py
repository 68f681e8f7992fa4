"""Every crop is a shifted copy with black borders, every second one mirrored, all shifts alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from datagen.images.augment import crop_and_flip
from datagen.seeds import generator


def numbered(n: int, side: int = 5) -> Tensor:
    """Images whose pixels all differ, none of them black."""
    pixels = torch.arange(1, side * side + 1, dtype=torch.uint8).reshape(1, 1, side, side)
    return torch.cat([pixels, pixels + 100], dim=1).repeat(n, 1, 1, 1)


def test_every_result_is_one_of_the_possible_crops_and_all_occur_alike() -> None:
    n, padding, side = 9000, 1, 5
    images = numbered(n)
    found = crop_and_flip(images, generator(0), padding=padding, flip=True)
    assert (found.shape, found.dtype) == (images.shape, torch.uint8)
    padded = F.pad(images[0], (padding,) * 4)
    counts = []
    for row in range(2 * padding + 1):
        for column in range(2 * padding + 1):
            crop = padded[:, row : row + side, column : column + side]
            counts += [int((found == wanted).all(dim=(1, 2, 3)).sum()) for wanted in (crop, crop.flip(-1))]
    assert sum(counts) == n
    assert min(counts) > 0.8 * n / 18
    assert max(counts) < 1.2 * n / 18


def test_without_padding_and_flip_nothing_changes() -> None:
    images = numbered(3)
    assert torch.equal(crop_and_flip(images, generator(0), padding=0, flip=False), images)


def test_without_flip_nothing_is_mirrored() -> None:
    images = numbered(500)
    found = crop_and_flip(images, generator(0), padding=4, flip=False)
    rows = found[:, 0].long()
    both = (rows[:, :, 1:] > 0) & (rows[:, :, :-1] > 0)
    assert (rows[:, :, 1:] - rows[:, :, :-1])[both].unique().tolist() == [1]


def test_the_generator_decides() -> None:
    images = numbered(20)
    first, again, other = (crop_and_flip(images, generator(seed), padding=2, flip=True) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
