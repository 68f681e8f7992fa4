"""Passes through a network, and images, of a training and its test."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from datagen import plan
from datagen.config import AttackConfig, TrainConfig, parse_command_line
from datagen.images.datasets import load_dataset
from datagen.planning.workload import Images, images_of_config, workload
from nasbench_ar import DataError
from tests.datagen.conftest import write_arrays
from tests.datagen.planning.paper import PAPER, paper_load


def test_the_papers_protocol_in_passes() -> None:
    load = workload(*paper_load(), PAPER, batch=500)
    steps, of_val = 390, 1 + 41 + 81
    assert load.train_passes == 100 * (steps * 128 * (2 * 7 + 3) + 2_000 * of_val)
    assert load.train_calls == 100 * (steps * 17 + 4 * of_val)
    autoattack = 0.87 * 202 + 0.55 * 9 * 202
    assert load.test_passes == pytest.approx(10_000 * (1 + 3 + 41 + 81 + autoattack) + 950_000)
    assert load.test_calls == pytest.approx(20 * (126 + autoattack) + 1_900)


@pytest.mark.parametrize(("loss", "others"), [("trades", 1 + 6), ("mart", 6)])
def test_losses_on_clean_images_too_in_passes(loss: str, others: int) -> None:
    """Both images go forward and back to the weights; the attack of trades looks at the clean ones before."""
    train, attack = asdict(TrainConfig(loss=loss, steps=10)), asdict(AttackConfig())
    load = workload(train, attack, PAPER, batch=500)
    assert load.train_passes == 100 * (390 * 128 * (20 + others) + 2_000 * 123)


def test_clean_training_without_autoattack_or_corruptions() -> None:
    images = Images(100, 10, 20, 0, 8, 1, 3)
    train, attack = asdict(TrainConfig(steps=0, batch=30, epochs=2)), asdict(AttackConfig(autoattack="none"))
    load = workload(train, attack, images, batch=20)
    assert load.train_passes == 2 * (3 * 30 * 3 + 10 * 123)
    assert load.test_passes == 20 * 126
    assert load.test_calls == 126
    compact = workload(train, asdict(AttackConfig()), images, batch=20)
    standard = workload(train, asdict(AttackConfig(autoattack="standard")), images, batch=20)
    assert load.test_passes < compact.test_passes < standard.test_passes
    # FAB of 100 steps of three passes for each target, and 5,000 queries of Square, on what stands by then
    assert standard.test_passes - compact.test_passes == pytest.approx(20 * 0.52 * (2 * 300 + 5000))
    corrupted = workload(train, attack, replace(images, corrupted=41), batch=20)
    assert corrupted.test_passes - load.test_passes == 41
    assert corrupted.test_calls - load.test_calls == 3
    # two targets where there are three classes
    assert compact.test_passes == pytest.approx(20 * (126 + 0.87 * 202 + 0.55 * 2 * 202))


def test_images_on_the_device_are_all_but_corrupted_ones() -> None:
    assert PAPER.on_device == 62_000


def test_one_class_is_none_to_learn(tmp_path: Path) -> None:
    labels = {
        f"{purpose}_labels": np.zeros(n, dtype=np.int64) for purpose, n in (("train", 128), ("val", 40), ("test", 48))
    }
    path = write_arrays(tmp_path / "one.npz", **labels)
    with pytest.raises(DataError, match="labels for 1 classes; expected 2 to 10000"):
        images_of_config(parse_command_line(["profile=arrays", "archs=all", f"data.file={path}"]).data)


def test_images_are_counted_as_they_are_loaded(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "stripes.npz")
    for words in (
        ["profile=digits"],
        ["profile=digits", "data.held_out=500"],
        ["profile=arrays", f"data.file={path}"],
        ["profile=arrays", f"data.file={path}", "data.validation=held_out", "data.held_out=30"],
    ):
        config = plan.parse_command_line(["archs=all", *words]).data
        found, dataset = images_of_config(config), load_dataset(config)
        assert (found.train, found.val, found.test) == tuple(len(s) for s in (dataset.train, dataset.val, dataset.test))
        facts = dataset.image_size, dataset.image_channels, dataset.classes
        assert (found.side, found.channels, found.classes) == facts
    with np.load(path) as arrays:
        np.savez(path, **arrays, extra_images=np.zeros((2, 5)))
    assert (
        images_of_config(plan.parse_command_line(["archs=all", "profile=arrays", f"data.file={path}"]).data).val == 40
    )
    official = plan.parse_command_line(["archs=all"]).data
    assert images_of_config(official) == PAPER
    without = images_of_config(replace(official, validation="held_out", held_out=1000, corruptions=None))
    assert (without.train, without.val, without.corrupted) == (49_000, 1_000, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": None}, "lacks val_images; or data.validation=held_out"),
        ({"train_images": np.zeros(3, dtype=np.uint8)}, r"has train_images uint8 \(3,\)"),
        ({"train_images": np.zeros((128, 8, 8), dtype=np.float32)}, "has train_images float32 .*; expected uint8"),
        ({"test_images": np.zeros((48, 9, 9, 3), dtype=np.uint8)}, "expected uint8 .*, the same in all"),
        ({"test_labels": None}, "cannot read .* as an .npz of images and labels"),
    ],
)
def test_wrong_archives(changes: dict[str, np.ndarray | None], message: str, tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "x.npz", **changes)
    with pytest.raises(DataError, match=message):
        images_of_config(plan.parse_command_line(["archs=all", "profile=arrays", f"data.file={path}"]).data)
    with pytest.raises(DataError, match="no training image would remain"):
        images_of_config(plan.parse_command_line(["archs=all", "profile=digits", "data.held_out=1597"]).data)
