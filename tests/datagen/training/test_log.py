"""One line an epoch, and only one, whatever happened in between."""

from __future__ import annotations

import gc
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from datagen.config import RunConfig
from datagen.training import checkpoint as checkpoint_module
from datagen.training import train as train_module
from datagen.training.log import FILE, EpochLog
from nasbench_ar import WriteError
from nasbench_ar.metrics import CURVES
from tests.datagen.training.trainings import Recorder, Stopped, run_training, small_scale


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_what_a_line_says(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.train.epochs, config.train.lr_drops, config.train.clip_norm = 3, [0.4], 1e9
    seen = Recorder(monkeypatch)
    done = run_training(config, tmp_path)
    found = lines(tmp_path)
    assert [line["epoch"] for line in found] == [0, 1, 2]
    assert [line["learning_rate"] for line in found] == pytest.approx([0.1, 0.01, 0.01])
    assert {name: [line[name] for line in found] for name in CURVES} == done.history
    norms = [sum(seen.norms[start : start + 8]) / 8 for start in (0, 8, 16)]
    assert [line["gradient_norm"] for line in found] == pytest.approx(norms, rel=1e-4)
    assert [(line["clipped"], line["left_out"], line["mfu"]) for line in found] == [(0, 0, None)] * 3
    # Stem, a block of 2 channels on 64 pixels, one of 4 on 16 with a shortcut, four classes; batch norms, pooling.
    macs = 64 * 27 * 2 + 64 * 2 * (18 + 18) + 16 * 4 * (18 + 36 + 2) + 4 * 4 + 3 * 64 * 2 + 2 * 16 * 4 + 4
    for line in found:
        assert line["tflops"] == pytest.approx(line["images_a_second"] * 2 * macs * (2 * 2 + 3) / 1e12)
        assert line["images_a_second"] == pytest.approx(128 / line["train_seconds"])
        assert line["peak_memory_mib"] > 50
        assert line["val_seconds"] > 0


def test_the_share_of_clipped_steps(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.train.epochs, config.train.clip_norm = 1, 1e9
    seen = Recorder(monkeypatch)
    run_training(config, tmp_path / "free")
    config.train.clip_norm = sorted(seen.norms)[0] * 1.0001  # the first step, which clipping cannot change, is clipped
    run_training(config, tmp_path / "clipped")
    assert 0 < lines(tmp_path / "clipped")[0]["clipped"] <= 1
    config.train.clip_norm = 1e-9
    run_training(config, tmp_path / "all")
    assert lines(tmp_path / "all")[0]["clipped"] == 1


def test_steps_left_out_in_float16(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.train.precision = "fp16"
    small_scale(monkeypatch, 2.0**22)
    run_training(config, tmp_path)
    found = lines(tmp_path)
    assert 0 < found[0]["left_out"] < 8
    assert found[0]["gradient_norm"] > 0
    assert found[1]["left_out"] == 0


@pytest.mark.parametrize("killed_at", ["last.pt", "best.pt"])
def test_an_interrupted_training_has_one_line_an_epoch(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    config.train.epochs = 3
    save = checkpoint_module.save_checkpoint

    def killed(path: Path, state: Any) -> None:
        if path.name == killed_at and state["epoch"] == 1:
            raise Stopped
        save(path, state)

    monkeypatch.setattr(train_module, "best_epoch", lambda history: len(history["val_loss"]) - 1)
    monkeypatch.setattr(checkpoint_module, "save_checkpoint", killed)
    with pytest.raises(Stopped):
        run_training(config, tmp_path)
    assert [line["epoch"] for line in lines(tmp_path)] == [0, 1]
    monkeypatch.setattr(checkpoint_module, "save_checkpoint", save)
    done = run_training(config, tmp_path)
    assert [line["epoch"] for line in lines(tmp_path)] == [0, 1, 2]
    assert [line["val_loss"] for line in lines(tmp_path)] == done.history["val_loss"]
    before = (tmp_path / FILE).read_bytes()
    run_training(config, tmp_path)
    assert (tmp_path / FILE).read_bytes() == before, "a finished training adds nothing"


def test_event_files_say_what_the_log_says(config: RunConfig, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config.train.epochs, config.log = 3, "tensorboard"
    with pytest.raises(Stopped):
        run_training(config, tmp_path, stop_after=1)
    first = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(Stopped):
        run_training(config, tmp_path, stop_after=2)
    (tmp_path / "last.pt").write_bytes(first)  # so that the second epoch is done twice
    run_training(config, tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found = lines(tmp_path)
    numbers = {name for name, value in found[0].items() if isinstance(value, (int, float))} - {"epoch"}
    assert set(events.Tags()["scalars"]) == numbers > set(CURVES)
    for name in numbers:
        scalars = [(event.step, event.value) for event in events.Scalars(name)]
        assert scalars == [(line["epoch"], pytest.approx(line[name], rel=1e-6)) for line in found]


def test_what_no_training_wrote_is_left_out(tmp_path: Path) -> None:
    damaged = b'{"epoch": 0}\nno json\n[1]\n{"epoch": "1"}\n{"epoch": true}\n\xff\n{"epoch": 2}\n{"epoch": 1'
    (tmp_path / FILE).write_bytes(damaged)
    log = EpochLog(tmp_path, 2)
    log.add({"epoch": 2})
    assert lines(tmp_path) == [{"epoch": 0}, {"epoch": 2}]


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(WriteError, match=r"cannot write .*log.jsonl: .*; the same command goes on"):
        EpochLog(tmp_path, 0).add({"epoch": 0})


def test_no_thread_outlives_a_training(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    before = threading.active_count()
    for k in range(3):
        EpochLog(tmp_path / str(k), 0, tensorboard=True).add({"epoch": 0, "train_loss": 1.0})
    gc.collect()
    assert threading.active_count() == before
