"""Time and memory of a list of trainings, and the command that prints them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datagen import plan
from datagen.config import RunConfig, parse_command_line
from datagen.planning.cost_model import CostModel
from datagen.planning.memory import MemoryEstimate, MemorySettings
from datagen.planning.schedule import Jobs
from datagen.planning.text import wall_time
from datagen.planning.workload import Images, workload
from datagen.store.entry import Entry
from nasbench_ar import NARES, SearchSpace
from tests.datagen.conftest import Command
from tests.datagen.planning.paper import PAPER, paper_load
from tests.datagen.synthetic_entries import SPACE, make_entry, make_store

OVERHEAD = 2**30


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
        (["profile=digits", "data.validation=cifar10.1"], "the source digits has held_out only"),
        (["profile=digits", "train.batch=1398"], "there are only 1397 training images; use a smaller batch"),
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
        (["gpu=h10"], "gpu=h10: expected one of h100-pcie, h100-nvl, h100, h200-nvl, h200, a100; or give tflops="),
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
