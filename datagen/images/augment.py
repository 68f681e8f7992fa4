"""Random crop and mirror image of a whole batch, on the device (NARes, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def crop_and_flip(images: Tensor, random: torch.Generator, *, padding: int, flip: bool) -> Tensor:
    """Pad with black, crop each (channels, side, side) image at random, mirror each with probability one half."""
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
