"""What decides a number, as plain data to hash, store and compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from datagen.config import LATER
from nasbench_ar.errors import quotable, shown

if TYPE_CHECKING:
    from datagen.config import RunConfig
    from nasbench_ar import Architecture, SearchSpace

# Raised when the code changes what a protocol of the same settings computes.
# 1: the last batch norm did not decay; attacks of the validation began clipped; their losses were taken after the last
#    step, and val_cw_loss was the mean margin.
PROTOCOL_VERSION = 2


def protocol(config: RunConfig, space: SearchSpace, *, train_precision: str, test_precision: str) -> dict[str, Any]:
    """Every setting that all entries of a store share.

    Precisions are resolved, so that a store never mixes them.  Device, threads, evaluation
    batch, memory layout and compilation only change rounding: they belong to the provenance.
    """
    train = {key: value for key, value in asdict(config.train).items() if key not in LATER or value != LATER[key]}
    return {
        "version": PROTOCOL_VERSION,
        "space": json.loads(json.dumps(space.to_dict())),
        "train": {**train, "precision": train_precision},
        "attack": {**asdict(config.attack), "precision": test_precision},
    }


def training_identity(
    protocol: Mapping[str, Any], dataset: Mapping[str, Any], architecture: Architecture, seed: int
) -> dict[str, Any]:
    """What a training depends on: less than its entry, so that a test can be repeated with other settings."""
    space, attack = protocol["space"], protocol["attack"]
    return {
        "version": protocol["version"],
        "architecture": str(architecture),
        "seed": seed,
        "network": {key: space[key] for key in ("unit_channels", "image_size", "image_channels", "classes")},
        "train": dict(protocol["train"]),
        "validation": {key: attack[key] for key in ("eps_255", "step_255", "pgd_steps", "cw_steps")},
        "train_sha256": dataset["train"]["sha256"],
        "val_sha256": dataset["val"]["sha256"],
    }


def identity_of_test(
    protocol: Mapping[str, Any], dataset: Mapping[str, Any], seed: int, checkpoint_digest: str, batch: int
) -> dict[str, Any]:
    """What each attack of a test depends on; `batch`, images at once, decides AutoAttack's random starts."""
    return {
        "version": protocol["version"],
        "checkpoint": checkpoint_digest,
        "seed": seed,
        "attack": {key: value for key, value in protocol["attack"].items() if key != "autoattack"},
        "batch": batch,
        "test_sha256": dataset["test"]["sha256"],
        "corruptions": dataset["corruptions"],
    }


def content_hash(content: Any) -> str:
    """Hex SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def hash_matches(content: Any, stated: Any) -> bool:
    """Data that cannot be hashed, such as NaN, never match."""
    try:
        return content_hash(content) == stated
    except (ValueError, RecursionError):
        return False


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """`key was a, is b` for everything that differs between two nested structures."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*new, *(key for key in old if key not in new)]
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{where}.{_name(key)}" if where else _name(key))
        ]
    return [] if old == new else [f"{where} was {shown(old)}, is {shown(new)}"]


def _name(key: object) -> str:
    return quotable(str(key), 60)
