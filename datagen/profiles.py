"""Complete sets of defaults for `datagen.run`: what differs from the paper's protocol, and why.

`cifar10` is the protocol of NARes to the letter, which the defaults of `config` spell out.

`cifar100` is the same on CIFAR-100, whose last 2,000 training images are held out for
validation, since no second test set of it was published.

`digits` is scikit-learn's bundled handwritten digits, for a machine without a GPU and
without any file: 8x8 gray images, and one channel at width 1 instead of 16. Digits are not
symmetric, so nothing is mirrored, and a shift by one pixel is enough. The radius is
DIGITS_EPS_255: 8/255 hardly attacks these high-contrast images at all, and at 40/255 even a
robust network loses half of them. Steps keep the protocol's ratios to the radius.

`digits-729` is the same on a space of 3^6 small networks, so that two processor cores
train and attack all of them in a few hours: four channels at width 1, because shallow
networks hardly learn with fewer, and larger batches, which suit a processor better.

`train.loss=trades` and `mart` bring their own defaults, those of their authors: 10 steps of
0.007 from a normal start of 0.001, and the weight of the second term.  Their radius of 0.031
is the protocol's 8/255; where a profile has another radius, steps and start keep the ratio.
"""

from __future__ import annotations

from typing import Any

DIGITS_EPS_255 = 24.0

DIGITS: dict[str, Any] = {
    "threads": 1,  # its kernels are too small to be worth sharing
    "data": {"source": "digits", "validation": "held_out", "held_out": 200, "corruptions": None},
    "space": {"unit_channels": 1},
    "train": {
        "epochs": 8,
        "batch": 32,
        "crop_padding": 1,
        "flip": False,
        "eps_255": DIGITS_EPS_255,
        "step_255": DIGITS_EPS_255 / 4,
        "start_std_255": DIGITS_EPS_255 / 4,
        "precision": "float32",
    },
    "attack": {"eps_255": DIGITS_EPS_255, "step_255": DIGITS_EPS_255 / 10, "precision": "float32"},
}

LOSSES: dict[str, dict[str, Any]] = {
    "pgd_at": {},
    "trades": {"steps": 10, "step_255": 0.007 * 255, "start_std_255": 0.001 * 255, "beta": 6.0},
    "mart": {"steps": 10, "step_255": 0.007 * 255, "start_std_255": 0.001 * 255, "beta": 6.0},
}

_BESIDE_ATTACK = {"pgd_at": 3, "trades": 7, "mart": 6}

PROFILES: dict[str, dict[str, Any]] = {
    "cifar10": {},
    "cifar100": {"data": {"source": "cifar100", "validation": "held_out", "corruptions": None}},
    "digits": DIGITS,
    "digits-729": DIGITS
    | {
        "space": {"unit_channels": 4, "depth_choices": [1, 2, 3], "width_choices": [1, 2, 3]},
        "train": DIGITS["train"] | {"batch": 64},
    },
    "arrays": {"data": {"source": "arrays", "validation": "file", "corruptions": None}},
}


def defaults(profile: str, loss: str) -> dict[str, Any]:
    """What a profile, and the loss in it, change of `RunConfig`."""
    settings = PROFILES[profile]
    train = settings.get("train", {})
    own = dict(LOSSES[loss], loss=loss)
    for key in {"step_255", "start_std_255"} & own.keys():
        own[key] *= train.get("eps_255", 8.0) / 8
    return {**settings, "train": {**train, **own}}


def passes_of_step(loss: str, steps: int) -> int:
    """Passes of one image through the network in a training step whose attack has so many steps."""
    return 2 * steps + _BESIDE_ATTACK[loss]
