"""What two trainings must share to be the same, and what a test may change."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from datagen.config import LATER, RunConfig, TrainConfig, train_settings
from datagen.seeds import derive, generator
from datagen.store.identity import content_hash, differences, protocol, training_identity
from nasbench_ar import Architecture
from tests.datagen.synthetic_entries import DATASET, PROTOCOL, SPACE

A = Architecture(1, 1, 1, 1)
BASE = training_identity(PROTOCOL, DATASET, A, 0)


def changed(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    out = copy.deepcopy(content)
    *parents, last = path.split(".")
    inner = out
    for parent in parents:
        inner = inner[parent]
    assert inner[last] != value
    inner[last] = value
    return out


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 3),
        ("space.unit_channels", 3),
        ("space.classes", 4),
        *((f"train.{key}", 0.77) for key in PROTOCOL["train"]),
        *((f"attack.{key}", 77) for key in ("eps_255", "step_255", "pgd_steps", "cw_steps")),
    ],
)
def test_a_training_depends_on_this(path: str, value: Any) -> None:
    assert training_identity(changed(PROTOCOL, path, value), DATASET, A, 0) != BASE


@pytest.mark.parametrize("path", ["train.sha256", "val.sha256"])
def test_a_training_depends_on_its_images(path: str) -> None:
    assert training_identity(PROTOCOL, changed(DATASET, path, "other"), A, 0) != BASE


def test_a_training_depends_on_architecture_and_seed() -> None:
    assert training_identity(PROTOCOL, DATASET, Architecture(1, 1, 1, 2), 0) != BASE
    assert training_identity(PROTOCOL, DATASET, A, 1) != BASE


@pytest.mark.parametrize("path", ["attack.autoattack", "attack.precision", "space.depth_choices"])
def test_the_test_may_be_repeated_otherwise(path: str) -> None:
    assert training_identity(changed(PROTOCOL, path, "other"), DATASET, A, 0) == BASE
    assert training_identity(PROTOCOL, changed(DATASET, "test.sha256", "other"), A, 0) == BASE


def test_the_protocol_resolves_precisions_and_leaves_out_where_it_runs() -> None:
    first = protocol(RunConfig(), SPACE, train_precision="bf16", test_precision="tf32")
    assert (first["train"]["precision"], first["attack"]["precision"]) == ("bf16", "tf32")
    elsewhere = RunConfig(device="cpu", threads=3, batch=7, compile=True, channels_last=True, seed=5, store="x")
    assert protocol(elsewhere, SPACE, train_precision="bf16", test_precision="tf32") == first
    assert protocol(RunConfig(), SPACE, train_precision="float32", test_precision="tf32") != first


def test_later_settings_change_no_protocol_that_does_not_use_them() -> None:
    """Stores and checkpoints from before they came go on; their hash is written here."""
    plain = protocol(RunConfig(), SPACE, train_precision="bf16", test_precision="tf32")
    assert content_hash(plain) == "0818155b245e18a8a52fc52515a0957f338ee4f49822374010f863418ed537c9"
    assert LATER.keys() & plain["train"].keys() == set()
    assert train_settings(plain) == {**asdict(TrainConfig()), "precision": "bf16"}
    for key, value in {"loss": "mart", "beta": 5.0, "schedule": "cosine", "ema": 0.9}.items():
        changed = replace(TrainConfig(), **{key: value})
        other = protocol(RunConfig(train=changed), SPACE, train_precision="bf16", test_precision="tf32")
        assert other["train"] == {**plain["train"], key: value}
        assert train_settings(other) == {**asdict(changed), "precision": "bf16"}


def test_hashes_ignore_the_order_of_keys() -> None:
    assert content_hash({"a": 1, "b": [2.5]}) == content_hash({"b": [2.5], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_differences_name_what_differs() -> None:
    old = {"same": 1, "train": {"lr": 0.1, "gone": 1}}
    new = {"same": 1, "train": {"lr": 0.2}, "new": "x" * 100}
    assert differences(old, new) == [
        "train.lr was 0.1, is 0.2",
        "train.gone was 1, is None",
        f"new was None, is '{'x' * 56}...",
    ]
    assert differences(old, old) == []


def test_seeds_are_told_apart_and_stay_the_same() -> None:
    assert derive(0, "epoch", 3) == derive(0, "epoch", 3)
    assert len({derive(seed, *purpose) for seed in (0, 1) for purpose in (("a",), ("b",), ("a", 1), ("a", 2))}) == 8
    assert 0 <= derive(0) < 2**63
    first, again = (torch.rand(4, generator=generator(3, "x")) for _ in range(2))
    assert torch.equal(first, again)
    assert derive(0, "weights") == 133441691874178746, "stored results depend on these numbers"


def test_differences_stay_on_one_line() -> None:
    assert differences({"a\nb": {"c" * 100: "d" * 100}}, {}) == ["'a\\nb' was {'" + "c" * 55 + "..., is None"]
