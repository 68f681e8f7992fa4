"""Entries with made-up numbers in a space of 16 architectures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datagen.config import AttackConfig, TrainConfig
from datagen.store.entry import Entry
from datagen.store.folder import EntryStore
from datagen.store.identity import PROTOCOL_VERSION, content_hash
from nasbench_ar import Architecture, SearchSpace
from nasbench_ar.metrics import CURVES, METRICS

SPACE = SearchSpace((1, 2), (1, 2), stages=2, unit_channels=2, image_size=8)
EPOCHS = 3
IMAGES = 40
PROTOCOL: dict[str, Any] = {
    "version": PROTOCOL_VERSION,
    "space": json.loads(json.dumps(SPACE.to_dict())),
    "train": {**asdict(TrainConfig(epochs=EPOCHS)), "precision": "float32"},
    "attack": {**asdict(AttackConfig(pgd_steps=2)), "precision": "float32"},
}
DATASET: dict[str, Any] = {
    "name": "toy.npz",
    "classes": 10,
    **{p: {"from": f"toy.npz, {p}", "images": IMAGES, "sha256": p * 8} for p in ("train", "val", "test")},
    "corruptions": None,
}


def make_entry(
    architecture: Architecture, *, seed: int = 0, corruptions: bool = False, device: str = "cuda", **test: float
) -> Entry:
    """One entry; the same arguments give the same numbers."""
    rng = np.random.default_rng([SPACE.index(architecture), seed])
    curves = {name: np.round(rng.uniform(10, 90, EPOCHS), 3).tolist() for name in CURVES}
    curves["val_cw_loss"] = [-value for value in curves["val_cw_loss"]]
    measured = {
        name: round(rng.uniform(10, 90), 2)
        for name, metric in METRICS.items()
        if metric.split == "test" and (corruptions or name != "test_corrupt_acc")
    }
    acc = np.round(rng.uniform(10, 90, (19, 5)), 2)
    if corruptions:
        measured["test_corrupt_acc"] = float(acc.mean())
    return Entry(
        architecture=architecture,
        arch_id=SPACE.arch_id(architecture),
        seed=seed,
        macs=SPACE.macs(architecture),
        params=SPACE.params(architecture),
        best_epoch=int(np.argmax(curves["val_cw_acc"])),
        curves=curves,
        test={**measured, **test},
        corruption_acc=acc if corruptions else None,
        corruption_loss=np.round(acc / 50, 4) if corruptions else None,
        masks={name: rng.random(IMAGES) < 0.5 for name in ("clean", "pgd", "cw", "apgd-t")},
        sanity={"robust_above_clean": seed == 1, "zero_gradients": False},
        details={"zero_gradient_share": 0.0},
        provenance={
            "protocol_sha256": content_hash(PROTOCOL),
            "dataset_sha256": content_hash(DATASET),
            "timestamp": "2024-05-06",
            "train_seconds": 4320.0,
            "test_seconds": 10.0,
            "peak_memory_mib": None,
            "evaluation_batch": 500,
            "hardware": {"device": device, "name": "NVIDIA Toy" if device == "cuda" else "CPU Toy"},
        },
    )


def make_store(folder: Path) -> EntryStore:
    """An empty store of the toy protocol."""
    store = EntryStore(folder)
    store.claim("toy", PROTOCOL, DATASET)
    return store
