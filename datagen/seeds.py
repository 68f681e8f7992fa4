"""Random generators from one seed and a purpose; nothing in this package uses a global generator.

Every epoch and every attack derives its own generator from the seed and a name, and no
random state outlives an epoch. A training resumed at any epoch, or an evaluation repeated
alone, thus has the numbers of an uninterrupted run.
"""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *purpose: object) -> int:
    """A 63-bit seed, the same in every process and on every machine."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator, for example `generator(seed, "epoch", 3)`."""
    return torch.Generator(device).manual_seed(derive(seed, *purpose))
