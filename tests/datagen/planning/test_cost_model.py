"""What a training costs: published totals, given ones, and calibration on entries."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from datagen import plan
from datagen.config import AttackConfig, TrainConfig
from datagen.planning.cost_model import CostModel, Sizes, from_entries, from_published, from_total
from datagen.planning.workload import Images, workload
from nasbench_ar import NARES, ConfigError, SearchSpace
from tests.datagen.planning.paper import PAPER, paper_load
from tests.datagen.synthetic_entries import SPACE, make_entry


def test_sizes_of_networks() -> None:
    """Layers are two convolutions a block and the stem: WRN-34-10 has 5 + 5 + 5 blocks."""
    two = NARES.indices(["5-10-5-10-5-10", "4-8-4-8-11-16"])
    assert Sizes.of(NARES, two).layers.tolist() == [31, 39]
    # An image, the stem's output and its activation, a block of 1 on 8x8 and one of 2 on 4x4, head, pooled, outputs.
    space = SearchSpace(depth_choices=(1,), width_choices=(1,), stages=2, unit_channels=1, image_size=8, classes=4)
    kept = 3 * 64 + 4 * 64 + (2 * 64 + 2 * 32) + 2 * 32 + 2 + 4 + 2
    assert Sizes.of(space, np.array([0])).activations.tolist() == [kept]


def test_entries_without_a_time_are_not_calibrated_on() -> None:
    images = Images(128, 40, 40, 0, 8, 3, 10)
    load = workload(*paper_load(), images, batch=20)
    timed = make_entry(SPACE.from_arch_id(1))
    for name in ("train_seconds", "test_seconds"):
        untimed = replace(timed, provenance={**timed.provenance, name: 0.0})
        assert from_entries([timed, untimed], SPACE, load, "s") == from_entries([timed], SPACE, load, "s")
        with pytest.raises(ConfigError, match="s has no entry to calibrate on"):
            from_entries([untimed], SPACE, load, "s")


def test_entries_of_shared_gpus_are_calibrated_on_where_there_are_no_others() -> None:
    load = workload(*paper_load(), Images(128, 40, 40, 0, 8, 3, 10), batch=20)
    alone = make_entry(SPACE.from_arch_id(1))
    facts = {**alone.provenance, "config": {"share": True}, "train_seconds": 2 * alone.provenance["train_seconds"]}
    shared = replace(alone, provenance=facts)
    assert from_entries([alone, shared], SPACE, load, "s") == from_entries([alone], SPACE, load, "s")
    found = from_entries([shared], SPACE, load, "s")
    assert found.basis.endswith("all with share=true: too long for one training at a time")
    assert found.train[0] == pytest.approx(2 * from_entries([alone], SPACE, load, "s").train[0])


def test_published_totals_come_out_for_the_published_space() -> None:
    indices = np.arange(NARES.size)
    train, test = from_published(NARES).seconds(workload(*paper_load(), PAPER, batch=500), Sizes.of(NARES, indices))
    assert train.sum() / 86_400 == pytest.approx(13_100)
    assert test.sum() / 86_400 == pytest.approx(2_900)


def test_a_given_total_is_shared_out() -> None:
    load, macs = workload(*paper_load(), PAPER, batch=500), np.array([1e9, 3e9])
    train, test = from_total(2.0, load, macs).seconds(load, Sizes(macs, np.ones(2), np.ones(2)))
    assert (train + test).tolist() == pytest.approx([43_200, 129_600])


def timed_entries(truth: CostModel, *, noise: float = 0.0) -> tuple[list[plan.Entry], plan.Workload]:
    load = workload(asdict(TrainConfig(epochs=3)), asdict(AttackConfig()), replace(PAPER, side=8), batch=500)
    indices = np.arange(SPACE.size)
    train, test = truth.seconds(load, Sizes.of(SPACE, indices))
    factor = 1 + noise * np.where(indices % 2, 1, -1)
    entries = []
    for index, a, b in zip(indices, train * factor, test * factor, strict=True):
        entry = make_entry(SPACE.from_index(int(index)))
        entries.append(replace(entry, provenance={**entry.provenance, "train_seconds": a, "test_seconds": b}))
    return entries, load


def test_calibration_finds_the_coefficients() -> None:
    truth = CostModel((3e-12, 2e-5, 4e-10), (5e-12, 0.0, 7e-10), "")
    entries, load = timed_entries(truth)
    found = from_entries(entries, SPACE, load, "store")
    assert found.train == pytest.approx(truth.train)
    assert found.test == pytest.approx(truth.test, abs=1e-12)
    assert found.train_error == pytest.approx(0, abs=1e-9)
    assert found.basis == "16 entries of store, made on NVIDIA Toy"
    measured = timed_entries(truth, noise=0.4)[0]
    indices = SPACE.indices(entry.architecture for entry in measured)
    noisy = from_entries(measured, SPACE, load, "store")
    predicted, _ = noisy.seconds(load, Sizes.of(SPACE, indices))
    assert predicted.sum() == pytest.approx(sum(entry.provenance["train_seconds"] for entry in measured))
    assert noisy.train_error is not None
    assert 0.2 < noisy.train_error < 0.6
    few = from_entries(entries[:2], SPACE, load, "store")
    assert few.train[1:] == (0, 0)  # too few for three coefficients
    with pytest.raises(ConfigError, match="no entry to calibrate on"):
        from_entries([], SPACE, load, "store")
