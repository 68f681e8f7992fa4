"""Work, cost and memory of a list of trainings, and the command that prints them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from datagen import plan
from datagen.config import AttackConfig, RunConfig, TrainConfig, parse_command_line
from datagen.images.datasets import load_dataset
from datagen.planning.cost_model import CostModel, Sizes, from_entries, from_published, from_total
from datagen.planning.memory import MemoryEstimate, MemorySettings
from datagen.planning.schedule import Jobs
from datagen.planning.text import wall_time
from datagen.planning.workload import Images, images_of_config, workload
from datagen.store.entry import Entry
from nasbench_ar import NARES, ConfigError, DataError, SearchSpace
from tests.datagen.conftest import Command, write_arrays
from tests.datagen.synthetic_entries import SPACE, make_entry, make_store

PAPER = Images(50_000, 2_000, 10_000, 950_000, 32, 3, 10)
OVERHEAD = 2**30


def paper_load() -> tuple[dict[str, object], dict[str, object]]:
    return asdict(TrainConfig()), asdict(AttackConfig())


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
    official = plan.parse_command_line(["archs=all"]).data
    assert images_of_config(official) == PAPER
    without = images_of_config(replace(official, validation="held_out", held_out=1000, corruptions=None))
    assert (without.train, without.val, without.corrupted) == (49_000, 1_000, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": None}, "lacks val_images"),
        ({"train_images": np.zeros(3, dtype=np.uint8)}, "lacks train_images"),
        ({"test_labels": None}, "cannot read .* as an .npz of images and labels"),
    ],
)
def test_wrong_archives(changes: dict[str, np.ndarray | None], message: str, tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "x.npz", **changes)
    with pytest.raises(DataError, match=message):
        images_of_config(plan.parse_command_line(["archs=all", "profile=arrays", f"data.file={path}"]).data)
    with pytest.raises(DataError, match="no training image would remain"):
        images_of_config(plan.parse_command_line(["archs=all", "profile=digits", "data.held_out=1597"]).data)


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


def by_hand(done: list[bool], measured: Sequence[Entry] = ()) -> plan.Task:
    """The first architectures of the space, at 1 and 2 picoseconds a MAC."""
    train, attack = paper_load()
    images = Images(1000, 100, 100, 0, 8, 3, 10)
    memory = MemorySettings(
        train_batch=16,
        evaluation_batch=50,
        train_precision="bf16",
        test_precision="tf32",
        images=1200,
        test_images=100,
        overhead=OVERHEAD,
    )
    return plan.Task(
        "by hand",
        SPACE,
        [0],
        np.arange(len(done), dtype=np.int32),
        np.array(done),
        workload(train, attack, images, batch=50),
        images,
        memory,
        CostModel((1e-12, 0.0, 0.0), (2e-12, 0.0, 0.0), "made up"),
        measured,
    )


OWN = {"gpus": 1, "preemptions_per_day": 0.0, "restart_minutes": 10.0, "checkpoint_epochs": 1, "repetitions": 5}


def test_only_what_is_left_is_reckoned() -> None:
    task = by_hand([True, False, False, True])
    found = plan.report(task, RunConfig(), OWN)
    macs = SPACE.macs_many(indices=np.array([1, 2])).astype(float)
    train, test = 1e-12 * task.load.train_passes * macs, 2e-12 * task.load.test_passes * macs
    assert (found["trainings"], found["done"]) == (4, 2)
    assert found["macs"] == pytest.approx((task.load.train_passes + task.load.test_passes) * macs.sum())
    cost = found["estimate"]
    assert cost["training_gpu_days"] == pytest.approx(train.sum() / 86_400)
    assert cost["evaluation_gpu_days"] == pytest.approx(test.sum() / 86_400)
    each = (train + test) / 86_400
    assert cost["gpu_days_each"]["mean"] == pytest.approx(each.mean())
    assert cost["gpu_days_each"]["std"] == pytest.approx(abs(each[0] - each[1]) / 2**0.5)
    assert found["schedule"]["undisturbed"]["wall_days"] == pytest.approx(each.sum())
    assert "schedule" not in plan.report(by_hand([True, True]), RunConfig(), OWN)


def test_cards_and_measured_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def estimate(space: SearchSpace, indices: np.ndarray, settings: MemorySettings) -> MemoryEstimate:
        asked.append(settings.evaluation_batch)
        total = np.array([8, 10, 16, 20, 30])[: len(indices)] * 10**9 - OVERHEAD
        return MemoryEstimate(training=total - 5 * 10**9, validation=total, test=total, overhead=OVERHEAD)

    monkeypatch.setattr(plan, "estimate_memory", estimate)
    entry = make_entry(SPACE.from_index(0))
    facts = {**entry.provenance, "peak_memory_mib": 2000.0, "evaluation_batch": 7}
    found = plan.describe_memory(by_hand([False] * 5, [replace(entry, provenance=facts)]))
    assert found["cards_gb"] == {
        "16": {"fit": 3, "could_share": 1, "training_fits": 4},
        "24": {"fit": 4, "could_share": 2, "training_fits": 4},
        "40": {"fit": 5, "could_share": 4, "training_fits": 5},
        "80": {"fit": 5, "could_share": 5, "training_fits": 5},
    }
    assert asked == [50, 7], "the batch of the entry"
    ratios = found["measured_over_estimated"]
    assert (ratios["entries"], ratios["mean"]) == (1, pytest.approx(2000 * 2**20 / (8 * 10**9 - OVERHEAD)))


def test_preemptions_in_days_and_percent() -> None:
    jobs = Jobs(np.full(20, 3600.0), np.full(20, 1800.0), 10)
    own = {**OWN, "gpus": 2, "preemptions_per_day": 3.0}
    found = plan.describe_schedule(jobs, own, seed=0)["preempted"]
    work_days = 20 * (10 * 3600 + 1800) / 86_400
    assert found["preemptions"]["mean"] > 1
    assert found["restart_gpu_days"]["mean"] == pytest.approx(found["preemptions"]["mean"] * 600 / 86_400)
    assert found["lost_percent"]["mean"] == pytest.approx(100 * found["lost_gpu_days"]["mean"] / work_days)
    assert plan.describe_schedule(jobs, own, seed=0)["preempted"] == found
    assert plan.describe_schedule(jobs, own, seed=1)["preempted"] != found


def test_entries_to_calibrate_on_are_spread_over_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "store")
    for architecture in list(SPACE)[:9]:
        store.save(make_entry(architecture))
    names = sorted(path.stem for path in (store.folder / "entries").iterdir())
    monkeypatch.setattr(plan, "CALIBRATION_ENTRIES", 3)
    found = [f"{entry.architecture}-seed0" for entry in plan.sample_entries(store)]
    assert found == [names[0], names[3], names[6]]


@pytest.mark.parametrize(("batch", "evaluated"), [(30, 30), (500, 40)])
def test_no_batch_is_larger_than_the_images(tmp_path: Path, batch: int, evaluated: int) -> None:
    store = make_store(tmp_path / "store")
    config = parse_command_line(["archs=all", f"batch={batch}"])
    assert plan.prepare(config, store, plan.OWN_KEYS).memory.evaluation_batch == evaluated


def test_the_command_for_the_whole_space(command: Command) -> None:
    code, out, err = command("gpus=8", main=plan.main)
    assert (code, err) == (0, "")
    assert "15,625 trainings, seed 0" in out
    assert "16,000 GPU-days: training 13,100 GPU-days, evaluation 2,900 GPU-days" in out
    assert "from the published totals" in out
    assert "as small as" not in out
    assert "far from networks as small as these" in command("archs=1-3", "profile=digits", main=plan.main)[1]
    assert "2,000 days on 8 GPUs, longest first" in out


def test_json_with_preemptions(command: Command) -> None:
    words = ["archs=1-50", "gpus=4", "preemptions_per_day=2", "repetitions=5", "gpu_days=50", "seeds=0,1", "json=true"]
    code, out, _ = command(*words, main=plan.main)
    assert code == 0
    found = json.loads(out)
    assert (found["trainings"], found["seeds"], found["memory"]["architectures"]) == (100, [0, 1], 50)
    assert found["estimate"]["training_gpu_days"] + found["estimate"]["evaluation_gpu_days"] == pytest.approx(50)
    plain, preempted = found["schedule"]["undisturbed"], found["schedule"]["preempted"]
    assert plain["lost_gpu_days"] == 0
    assert preempted["wall_days"]["min"] > plain["wall_days"]
    assert preempted["lost_in_tests_gpu_days"]["mean"] < preempted["lost_gpu_days"]["mean"]
    assert json.loads(command(*words, main=plan.main)[1]) == found


def test_a_store_calibrates_and_what_it_has_is_done(tmp_path: Path, command: Command) -> None:
    store = make_store(tmp_path / "store")
    words = [f"store={store.folder}", "gpus=2"]
    assert "from the published totals" in command(*words, main=plan.main)[1]
    assert "from gpu_days=3, shared out" in command(*words, "gpu_days=3", main=plan.main)[1]
    for architecture in list(SPACE)[:10]:
        entry = make_entry(architecture)
        facts = {**entry.provenance, "peak_memory_mib": 500.0, "evaluation_batch": 40}
        store.save(replace(entry, provenance=facts))
    code, out, err = command(*words, main=plan.main)
    assert (code, err) == (0, "")
    assert "16 trainings, seed 0, 10 of them done" in out
    assert f"from 10 entries of {store.folder}, made on NVIDIA Toy" in out
    assert "root mean square error of the fit" in out
    assert "measured peaks over estimates without the assumed part" in out
    for architecture in list(SPACE)[10:]:
        entry = make_entry(architecture, device="cpu")
        store.save(replace(entry, provenance={**entry.provenance, "peak_memory_mib": None}))
    out = command(*words, main=plan.main)[1]
    assert "nothing is left to do" in out
    assert "mixed: an average" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gpus=1000000000"], "gpus='1000000000': expected a whole number from 1 to 100000"),
        (["repetitions=1001"], "repetitions='1001': expected a whole number from 1 to 1000"),
        (["preemptions_per_day=nan"], "expected a number from 0 to 1000000000"),
        (["preemptions_per_day=1000"], "would be lost over and over; give fewer preemptions"),
        (["preemptions_per_day=10", "checkpoint_epochs=100"], "or checkpoint_epochs=1"),
        (["gpuss=1"], "unknown key 'gpuss'; did you mean gpus?"),
        (["device=cpu"], "unknown key 'device'"),
        (["archs=0"], "archs=0: arch_ids run from 1"),
        (["store=nowhere"], "nowhere is no store"),
    ],
)
def test_wrong_words(words: list[str], message: str, command: Command) -> None:
    code, out, err = command(*words, main=plan.main)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_store_has_its_own_settings(tmp_path: Path, command: Command) -> None:
    store = make_store(tmp_path / "store").folder
    for word, message in (
        ("train.epochs=3", "train.epochs=: a store has its own settings"),
        ("profile=digits", "is of profile toy; leave profile= out"),
    ):
        code, _, err = command(f"store={store}", word, main=plan.main)
        assert code == 2
        assert message in err


def test_it_needs_no_torch() -> None:
    code = "import sys, datagen.plan; assert datagen.plan.main(['archs=1']) == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_help(command: Command) -> None:
    assert command("--help", main=plan.main)[1].startswith("What generating a table would take")


def test_times_are_in_units_that_suit_them() -> None:
    assert [wall_time(d) for d in (1234.5, 1.5, 0.5, 1 / 96, 1 / 86_400, 0)] == [
        "1,234 days",
        "1.5 days",
        "12 hours",
        "15 minutes",
        "1 seconds",
        "0 seconds",
    ]


def test_the_peak_of_a_card(command: Command) -> None:
    """By hand: two operations a MAC, at 40 % of 989 and 494 TFLOP/s."""
    one, macs = "archs=5-10-5-10-5-10", NARES.macs("5-10-5-10-5-10")
    load = workload(*paper_load(), PAPER, batch=500)
    for words, rates in (
        (["gpu=h100"], (0.4 * 989e12, 0.4 * 494e12)),
        (["gpu=a100", "mfu=0.5"], (0.5 * 312e12, 0.5 * 156e12)),
        (["gpu=a100", "train.precision=float32"], (0.4 * 19.5e12, 0.4 * 156e12)),
        (["tflops=100"], (0.4 * 100e12, 0.4 * 100e12)),
    ):
        code, out, _ = command(one, *words, "json=true", main=plan.main)
        cost = json.loads(out)["estimate"]
        assert code == 0
        assert cost["training_gpu_days"] * 86_400 == pytest.approx(2 * load.train_passes * macs / rates[0])
        assert cost["evaluation_gpu_days"] * 86_400 == pytest.approx(2 * load.test_passes * macs / rates[1])
        assert words[0].removeprefix("gpu=") in cost["basis"]
        assert "assumed mfu" in cost["basis"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gpu=h10"], "gpu=h10: expected one of h100-pcie, h100-nvl, h100, h200, a100; or give tflops="),
        (["gpu=h100", "tflops=3"], "gpu= and tflops= each say how long trainings take: give one of them"),
        (["gpu=h100", "gpu_days=3"], "gpu_days= and gpu= each say how long"),
        (["mfu=0.5"], "mfu=0.5: it goes with gpu= or tflops="),
        (["gpu=h100", "mfu=0"], "mfu=0: expected a share above 0, at most 1"),
        (["tflops=100", "mfu=1.5"], "mfu=1.5: expected a share above 0, at most 1"),
    ],
)
def test_wrong_peaks(command: Command, words: list[str], said: str) -> None:
    code, out, err = command("archs=1", *words, main=plan.main)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {said}")
