"""Submissions along learning curves: what was trained is carried out again, and must come to what stands there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from experiments import submit as front
from experiments.races.store import RunStore
from experiments.races.trace_store import TraceStore
from experiments.races.track import load_track, tracks
from experiments.submissions.check import check
from experiments.submissions.entry import ENTRY, RUNS
from experiments.submissions.trainings import COLUMNS
from nasbench_ar import ResultsError, load
from tests.experiments.conftest import Command, raced

ASHA = "searchers.fidelity.asha.Asha"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raced("fidelity", "searcher=asha", f"out={tmp_path_factory.mktemp('results')}") / "asha"


@pytest.fixture(scope="module")
def honest(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return front.submit(results, contact="", tuned_on="", out=tmp_path_factory.mktemp("submissions"))


@pytest.fixture
def changed(honest: Path, tmp_path: Path) -> Callable[..., Path]:
    def change(runs: Callable[[pd.DataFrame], pd.DataFrame | None], **fingerprint: Any) -> Path:
        folder = tmp_path / "changed"
        folder.mkdir()
        content = yaml.safe_load((honest / ENTRY).read_text())
        content["fingerprint"].update(fingerprint)
        (folder / ENTRY).write_text(yaml.safe_dump(content))
        frame = pd.read_parquet(honest / RUNS)
        found = runs(frame)
        (frame if found is None else found).to_parquet(folder / RUNS, index=False)
        return folder

    return change


def test_the_tracks_of_the_toolkit_can_be_checked() -> None:
    """Trainings are replayed on one machine, and every row costs an epoch at least."""
    for track in map(load_track, tracks()):
        assert not track.fidelity or (track.workers, track.unit) == (1, "epochs")


def test_what_is_written_and_passes(command: Command, results: Path, honest: Path) -> None:
    frame, traces = pd.read_parquet(honest / RUNS), TraceStore(results).traces(range(100))
    assert list(frame) == list(COLUMNS)
    for name in ("arch_index", "epoch", "spent", "incumbent"):
        np.testing.assert_array_equal(frame[name], np.concatenate([getattr(trace, name) for trace in traces]))
    found = check(honest)
    assert found.not_rerun == ""
    assert found.entry.computed_by == tuple(RunStore(results).read_config()["computed_by"])
    worth = load("digits-729", quiet=True).column("val_pgd_acc")
    np.testing.assert_array_equal(found.entrant.values, worth[[trace.incumbent[-1] for trace in traces]])
    assert "asha: entry.yaml runs.parquet" in command.passes(front.main, results, f"out={honest.parent.parent}")[0]


def put(row: int, **values: Any) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        for name, value in values.items():
            frame.loc[row, name] = value

    return change


def without_the_end(frame: pd.DataFrame) -> pd.DataFrame:
    """Stops when the incumbent looks best, so to speak."""
    return frame.drop(index=np.flatnonzero(frame.seed == 0)[-1])


def one_more(frame: pd.DataFrame) -> pd.DataFrame:
    ends = int(np.flatnonzero(frame.seed == 0)[-1])
    unseen = min(set(range(729)) - set(frame.arch_index[frame.seed == 0]))
    more = frame[ends : ends + 1].assign(training=frame.training[ends] + 1, arch_index=np.int32(unseen), epoch=0)
    return pd.concat([frame[: ends + 1], more, frame[ends + 1 :]]).astype(frame.dtypes.to_dict())


def longer_end(frame: pd.DataFrame) -> None:
    ends = np.flatnonzero(frame.seed == 0)[-1]
    unseen = min(set(range(729)) - set(frame.arch_index[frame.seed == 0]))
    frame.loc[ends, ["arch_index", "epoch"]] = (unseen, 7)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put(0, spent=0.5), "seed 0: after training 1 it has spent 0.5; by the table it is 3"),
        (lambda f: put(109, incumbent=f.arch_index[0])(f), "after training 110 it recommends .*; by the table it is"),
        (put(3, arch_index=729), "seed 0: training 4 is of architecture 729, which the track does not allow"),
        (put(3, arch_index=-1), "seed 0: training 4 is of architecture -1, which the track does not allow"),
        (put(0, epoch=99), "training 1, of architecture .* ends with epoch 99; expected one after -1, below 8"),
        (put(0, epoch=-1), "training 1, of architecture .* ends with epoch -1; expected one after -1"),
        (lambda f: put(1, arch_index=f.arch_index[0])(f), "training 2, .* ends with epoch 2; expected one after 2"),
        (one_more, "seed 0: training .* is beyond the budget of 400 epochs"),
        (longer_end, "seed 0: training .* is beyond the budget of 400 epochs"),
        (without_the_end, "seed 0 has spent 39. of 400 epochs; run on"),
        (lambda f: f[f.seed != 17], "seed 17 is missing"),
        (lambda f: f[f.seed < 99], "has 99 seeds; expected 100 to 1000"),
        (lambda f: f.drop(index=4), "rows are not in order; expected seeds ascending, and trainings from 1 on"),
        (lambda f: f.assign(score=1.0), "has columns .*'score'.*; expected seed int64, training int32"),
    ],
)  # fmt: skip
def test_what_is_refused(
    changed: Callable[..., Path], change: Callable[[pd.DataFrame], pd.DataFrame | None], says: str
) -> None:
    refused(changed(change), says)


def refused(folder: Path, says: str) -> None:
    with pytest.raises(ResultsError, match=says) as error:
        check(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        ({"budget": 500.0}, "not of track fidelity .budget was 500.0, is 400.0"),
        ({"workers": 2}, "not of track fidelity .workers was 2, is 1"),
        ({"unit": "gpu_days"}, "not of track fidelity .unit was 'gpu_days', is 'epochs'"),
        ({"searcher": {"_target_": ASHA, "eta": 2}}, r"seed \d+, run again, differs from training"),
        ({"searcher": {"_target_": ASHA, "heat": 2}}, r"seed \d+ cannot be run again: .*'heat'"),
    ],
)
def test_another_race(changed: Callable[..., Path], marks: dict[str, Any], says: str) -> None:
    refused(changed(lambda frame: None, **marks), says)


def test_what_is_no_searcher_along_curves(changed: Callable[..., Path]) -> None:
    folder = changed(lambda frame: None, searcher={"_target_": "searchers.random_search.RandomSearch"})
    refused(folder, "has no subclass of searchers.fidelity.FidelitySearcher")
