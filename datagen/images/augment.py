"""Random crop and mirror image of a whole batch, on the device (NARes, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def crop_and_flip(images: Tensor, random: torch.Generator, *, padding: int, flip: bool) -> Tensor:
    """Pad with black, cut each image out somewhere, mirror each with probability one half.

    Args:
        images: (n, channels, side, side) of any type.
        random: on the device of the images; the only source of randomness.
        padding: black pixels on every side before the crop; 0 leaves the place alone.
        flip: whether to mirror at all.

    Returns:
        A new tensor of the same shape and type.
    """
    n, channels, side, _ = images.shape
    device = images.device
    shift = torch.randint(0, 2 * padding + 1, (2, n, 1), generator=random, device=device)
    along = torch.arange(side, device=device)
    rows = along + shift[0]
    columns = along.expand(n, side)
    if flip:
        mirrored = torch.rand((n, 1), generator=random, device=device) < 0.5
        columns = torch.where(mirrored, along.flip(0), columns)
    columns = columns + shift[1]
    padded = F.pad(images, (padding, padding, padding, padding))
    which = torch.arange(n, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[:, None, None]
    return padded[which, channel, rows[:, None, :, None], columns[:, None, None, :]]
